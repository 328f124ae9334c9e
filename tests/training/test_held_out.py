"""What a run that is made for tuning sees: examples held out of the training set, and never a test example."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, MakeSpec, budget_for

from psasc_bench.data import Dataset
from psasc_bench.data.dataset import hold_out
from psasc_bench.study import RunSpec
from psasc_bench.training import runner, train


class Untouchable:
    """Stands for arrays that must not be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError("the test set was looked at")

    __array__ = __len__ = __getitem__ = __iter__ = __getattribute__  # type: ignore[assignment]


@pytest.fixture
def without_test_set(digits: Dataset) -> Dataset:
    return dataclasses.replace(digits, x_test=Untouchable(), y_test=Untouchable())


@pytest.fixture
def validation_spec(digits_spec: MakeSpec) -> RunSpec:
    return digits_spec(method="nonprivate", parameters={}, epsilon=math.inf, evaluation="validation", epochs=2)


def test_tuning_run_does_not_look_at_the_test_set(
    without_test_set: Dataset, validation_spec: RunSpec, tmp_path: Path
) -> None:
    split = hold_out(without_test_set)
    made = runner.train_run(
        validation_spec,
        without_test_set,
        budget_for(validation_spec, split),
        runs=tmp_path / "runs",
        micro_batch_size=320,
        device=CPU,
    )
    assert set(made.result) == {"validation_accuracy", "validation_loss"}
    assert made.ledger["steps_taken"] == round(2 * len(split.y_train) / 256)


def test_run_on_the_test_set_would_be_found_out(without_test_set: Dataset, validation_spec: RunSpec) -> None:
    """The planted leak: the same run, evaluated on the test set."""
    spec = dataclasses.replace(validation_spec, evaluation="test")
    with pytest.raises(AssertionError, match="the test set was looked at"):
        train(spec, without_test_set, budget_for(spec, without_test_set), micro_batch_size=320, device=CPU)


def test_tuning_run_equals_a_run_on_the_held_out_split(digits: Dataset, validation_spec: RunSpec) -> None:
    split = hold_out(digits)
    tuning = train(validation_spec, digits, budget_for(validation_spec, split), micro_batch_size=320, device=CPU)
    spec = dataclasses.replace(validation_spec, evaluation="test")
    plain = train(spec, split, budget_for(spec, split), micro_batch_size=320, device=CPU)
    assert torch.equal(tuning.parameters, plain.parameters)
    assert tuning.curve[-1]["validation_accuracy"] == plain.curve[-1]["test_accuracy"]


def test_budget_of_the_whole_training_set_is_refused_in_tuning(digits: Dataset, validation_spec: RunSpec) -> None:
    with pytest.raises(ValueError, match="calibrated for sampling_rate"):
        train(validation_spec, digits, budget_for(validation_spec, digits), micro_batch_size=320, device=CPU)
