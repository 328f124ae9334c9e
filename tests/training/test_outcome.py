"""What comes out of a run: the last iterate, a row for each epoch, and what is refused or said to have diverged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import CPU, MakeSpec, Train, budget_for
from torch import Tensor, nn

from psasc_bench import models
from psasc_bench.data import Dataset
from psasc_bench.training import loop as training

# ------------------------------------------------------------------------------------------------ the result


def accuracy(parameters: Tensor, dataset: Dataset) -> float:
    model = models.create("digits_cnn", seed=0)
    nn.utils.vector_to_parameters(parameters, model.parameters())
    images = torch.from_numpy((dataset.x_test.astype(np.float32) - dataset.offset) / dataset.scale)
    return float((model(images).argmax(1) == torch.from_numpy(dataset.y_test)).float().mean())


def test_last_iterate_is_reported_though_an_earlier_one_was_better(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    spec = digits_spec(epochs=6, learning_rate=4.0)
    outcome, iterates = train(spec, digits, noise_multiplier=10.0)
    accuracies = [row["test_accuracy"] for row in outcome.curve]
    assert accuracies == pytest.approx([accuracy(point, digits) for point in iterates], abs=1e-6)
    assert accuracies[-1] < max(accuracies)
    assert outcome.curve[-1]["step"] == outcome.steps_taken == spec.epoch_ends(1437)[-1]


def test_curve_has_a_row_at_the_end_of_each_epoch(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    spec = digits_spec(epochs=3)
    outcome, _ = train(spec, digits)
    assert [row["epoch"] for row in outcome.curve] == [1, 2, 3]
    assert [row["step"] for row in outcome.curve] == spec.epoch_ends(1437) == [6, 11, 17]
    assert outcome.status == "done"


def test_digits_are_learnt(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    outcome, _ = train(digits_spec(epochs=8, learning_rate=1.0), digits, noise_multiplier=1.0)
    # chance is .1; a loop that does not learn would be told from this one by any seed
    assert outcome.curve[-1]["test_accuracy"] > 0.6


def test_run_that_runs_away_is_reported_as_diverged(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    outcome, _ = train(digits_spec(learning_rate=1e39, epochs=3), digits)
    assert outcome.status == "diverged"
    assert "step 1" in (outcome.reason or "")
    assert outcome.steps_taken == outcome.curve[-1]["step"] == 1


def test_progress_is_told_after_every_step(digits: Dataset, digits_spec: MakeSpec) -> None:
    told: list[tuple[int, int]] = []
    spec = digits_spec()
    training.train(
        *(spec, digits, budget_for(spec, digits)),
        micro_batch_size=64,
        device=CPU,
        progress=lambda step, steps: told.append((step, steps)),
    )
    assert told == [(step, 6) for step in range(1, 7)]


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("key", "value"), [("epsilon", 2.0), ("delta", 1e-4), ("sampling_rate", 0.5), ("steps", 5), ("accountant", "pld")]
)
def test_budget_of_another_schedule_is_refused(key: str, value: Any, digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec()
    budget = replace(budget_for(spec, digits), **{key: value})
    with pytest.raises(ValueError, match=f"calibrated for {key}"):
        training.train(spec, digits, budget, micro_batch_size=64, device=CPU)


def test_ordinary_sgd_under_a_finite_epsilon_is_refused(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    with pytest.raises(ValueError, match="sensitivity inf"):
        train(digits_spec(method="nonprivate", parameters={}), digits)


def test_model_that_does_not_fit_is_refused(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    with pytest.raises(ValueError, match="mnist_cnn does not take"):
        train(digits_spec(model="mnist_cnn"), digits)
