"""The one-run audit of a trained model finds a model that memorises, and does not accuse a private one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from psasc_bench.data import Dataset
from psasc_bench.evidence import one_run_audit
from psasc_bench.evidence.one_run_audit import OneRunAudit
from psasc_bench.study import RunSpec


@pytest.fixture
def audit(digits: Dataset, digits_spec: Callable[..., RunSpec]) -> Callable[..., OneRunAudit]:
    def run(*, canaries: int = 200, guesses: int = 40, **changes: object) -> OneRunAudit:
        spec = digits_spec(epochs=32, delta=1e-4, expected_batch_size=256, momentum=0.9, **changes)
        return one_run_audit.audit_run(
            spec, digits, canaries=canaries, guesses=guesses, micro_batch_size=288, device=torch.device("cpu")
        )

    return run


def test_model_that_memorises_is_found_out(audit: Callable[..., OneRunAudit]) -> None:
    found = audit(method="nonprivate", parameters={}, epsilon=math.inf, learning_rate=0.1)
    assert found.epsilon_claimed == math.inf
    assert found.epsilon_lower > 1  # 1.7 measured; guessing by coin proves more than 0 in one of twenty runs


def test_private_model_is_not_accused(audit: Callable[..., OneRunAudit]) -> None:
    found = audit(method="dp-sgd", parameters={"C": 0.1}, epsilon=1.0, learning_rate=0.6)
    assert found.epsilon_lower <= found.epsilon_claimed


@pytest.mark.parametrize(("canaries", "guesses"), [(20, 40), (2000, 40), (20, 1)])
def test_senseless_numbers_are_refused(audit: Callable[..., OneRunAudit], canaries: int, guesses: int) -> None:
    with pytest.raises(ValueError, match="each must be fewer"):
        audit(method="dp-sgd", parameters={"C": 0.1}, epsilon=1.0, canaries=canaries, guesses=guesses)
