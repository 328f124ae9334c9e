"""What makes a run a pure function of its spec: the same bits whatever surrounds it, others for another spec."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import MakeSpec, Train, first

from psasc_bench.data import Dataset
from psasc_bench.training.loop import Outcome


@pytest.mark.parametrize("size", [1, 7, 200])
def test_result_does_not_depend_on_the_micro_batch_size(
    size: int, digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    spec = digits_spec(expected_batch_size=48, epochs=3)
    dataset = first(digits, 96)
    _, whole = train(spec, dataset, micro_batch_size=64)
    _, cut = train(spec, dataset, micro_batch_size=size)
    # float32 sums in another order
    torch.testing.assert_close(cut[-1], whole[-1], rtol=1e-5, atol=1e-5)


def test_same_spec_gives_the_same_bits(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    (one, first_time), (two, second_time) = train(digits_spec(), digits), train(digits_spec(), digits)
    assert all(torch.equal(a, b) for a, b in zip(first_time, second_time, strict=True))
    assert one.curve == two.curve


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"learning_rate": 0.4}, {"momentum": 0.8}, {"epsilon": math.inf}], ids=str
)
def test_another_spec_gives_other_bits(
    change: dict[str, Any], digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    _, one = train(digits_spec(), digits)
    _, other = train(digits_spec(**change), digits)
    assert not torch.equal(one[-1], other[-1])


def first_norms(outcome: Outcome) -> list[float]:
    return [
        outcome.curve[0][key]
        for key in sorted(outcome.curve[0])
        if key.startswith(("nonprivate_norm", "nonprivate_train"))
    ]


def test_methods_share_initial_weights_and_batches_of_a_seed(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    """Norms and losses of the first step see both; the epoch is one step at a sampling rate of .8."""
    small: dict[str, Any] = {"expected_batch_size": 64, "epochs": 1}
    dataset = first(digits, 80)
    psasc, _ = train(digits_spec(**small), dataset)
    clipped, _ = train(digits_spec(**small, method="dp-sgd", parameters={"C": 1.0}, epsilon=1.0), dataset)
    unlike, _ = train(digits_spec(**small, seed=1), dataset)
    assert psasc.steps_taken == 1
    assert len(first_norms(psasc)) == 4
    assert first_norms(psasc) == first_norms(clipped)
    assert first_norms(psasc) != first_norms(unlike)


def test_global_generators_are_left_as_they_were(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    train(digits_spec(), digits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_global_generators_do_not_enter(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        _, one = train(digits_spec(), digits)
        torch.manual_seed(2)
        _, other = train(digits_spec(), digits)
    assert torch.equal(one[-1], other[-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_data_set_is_left_as_it_was(dtype: type, digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    dataset = replace(digits, x_train=digits.x_train.astype(dtype), x_test=digits.x_test.astype(dtype))
    train(digits_spec(epochs=2), dataset)
    assert np.array_equal(dataset.x_train, digits.x_train)
    assert np.array_equal(dataset.x_test, digits.x_test)


def test_pixels_as_floats_give_the_same_run_as_pixels_as_bytes(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    floats = replace(digits, x_train=digits.x_train.astype(np.float32), x_test=digits.x_test.astype(np.float32))
    by_bytes, _ = train(digits_spec(epochs=2), digits)
    by_floats, _ = train(digits_spec(epochs=2), floats)
    assert by_floats.curve == by_bytes.curve
