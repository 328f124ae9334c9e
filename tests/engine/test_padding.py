"""What must contribute nothing: padding, examples that are not finite, and an empty batch."""

from __future__ import annotations

import pytest
import torch
from explicit_gradients import relative_error
from model_inputs import features, images, weighted_sum
from torch import nn

from psasc_bench import models


@pytest.mark.parametrize("name", models.MODELS)
def test_padding_contributes_exactly_nothing(name: str) -> None:
    model, (x, y) = models.create(name, seed=0), images(name, dtype=torch.float32)
    mask = torch.tensor([1.0, 1, 1, 1, 0, 0])
    one = weighted_sum(model, x, y, mask)
    two = weighted_sum(model, torch.cat([x[:4], x[:1], 100 * x[:1]]), y, mask)
    assert all(torch.equal(one.sums[p], two.sums[p]) for p in model.parameters())
    assert one.norms[4:].tolist() == [0, 0]


def test_padding_leaves_the_sums_of_the_examples() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0).double(), images("digits_cnn")
    padded = weighted_sum(model, x, y, torch.tensor([1.0, 1, 1, 1, 0, 0]))
    alone = weighted_sum(model, x[:4], y[:4], torch.ones(4))
    assert all(relative_error(padded.sums[p], alone.sums[p]) < 1e-10 for p in model.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["digits_cnn", "mnist_cnn"])
def test_example_that_is_not_finite_contributes_exactly_nothing_and_is_counted(name: str, value: float) -> None:
    model, (x, y) = models.create(name, seed=0), images(name, dtype=torch.float32)
    without = weighted_sum(model, x, y, torch.tensor([1.0, 1, 0, 1, 1, 1]))
    x[2] = value
    x[2, :, 0] = -value  # so that infinities meet
    result = weighted_sum(model, x, y, torch.ones(6))
    assert result.nonfinite == 1
    assert result.norms[2] == 0
    assert all(torch.equal(result.sums[p], without.sums[p]) for p in model.parameters())


def test_example_that_is_not_finite_is_nothing_to_written_down_gradients_either() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.PReLU(3), nn.Linear(3, 10)), features(6, 4).float()
    y = torch.arange(6)
    without = weighted_sum(model, x, y, torch.tensor([1.0, 1, 0, 1, 1, 1]))
    x[2] = float("nan")
    result = weighted_sum(model, x, y, torch.ones(6))
    assert result.nonfinite == 1
    assert all(torch.equal(result.sums[p], without.sums[p]) for p in model.parameters())


def test_padding_that_is_not_finite_is_not_counted() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0), images("digits_cnn", dtype=torch.float32)
    x[5] = float("nan")
    result = weighted_sum(model, x, y, torch.tensor([1.0, 1, 1, 1, 1, 0]))
    assert result.nonfinite == 0
    assert all(result.sums[p].isfinite().all() for p in model.parameters())


def test_empty_batch_sums_to_zero() -> None:
    model = models.create("digits_cnn", seed=0)
    result = weighted_sum(model, torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.long), torch.ones(0))
    assert all(torch.equal(result.sums[p], torch.zeros_like(p)) for p in model.parameters())
    assert len(result.norms) == result.nonfinite == 0
