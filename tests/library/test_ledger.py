"""What a ledger says was spent."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from psasc_bench import PrivateGradient, calibrate, method, spent


def test_steps_that_were_released_are_paid_for() -> None:
    budget = calibrate(epsilon=2, delta=1e-5, sampling_rate=0.1, steps=20, accountant="pld")
    private = PrivateGradient(
        nn.Linear(2, 1),
        method("dp-psasc", C=0.5, s=2.0, r=0.1),
        noise_multiplier=budget.noise_multiplier,
        expected_batch_size=10,
    )
    assert private.ledger(sampling_rate=0.1, delta=1e-5).epsilon == 0
    for _ in range(budget.steps):
        private.release()
    ledger = private.ledger(sampling_rate=0.1, delta=1e-5)
    assert ledger.epsilon == ledger.epsilon_pld == pytest.approx(budget.epsilon_pld, rel=1e-4)
    assert ledger.epsilon_rdp == budget.epsilon_rdp
    assert ledger.epsilon <= 2
    private.release()
    assert private.ledger(sampling_rate=0.1, delta=1e-5).epsilon > ledger.epsilon
    assert torch.is_tensor(private.release().gradient)


def test_without_noise_there_is_no_privacy() -> None:
    assert spent(noise_multiplier=0, sampling_rate=0.1, steps=1, delta=1e-5).epsilon == math.inf


@pytest.mark.parametrize("wrong", [{"sampling_rate": 0.0}, {"delta": 0.0}, {"noise_multiplier": -1.0}, {"steps": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    how: dict[str, float] = {"noise_multiplier": 1.0, "sampling_rate": 0.1, "steps": 1, "delta": 1e-5}
    with pytest.raises(ValueError, match="the rate must be in"):
        spent(**how | wrong)  # type: ignore[arg-type]
