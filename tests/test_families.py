"""Networks that are built for the data at hand: their sizes, and that private training knows their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_data import in_memory
from torch import Tensor, nn

from psasc_bench import models
from psasc_bench.data import Dataset
from psasc_bench.engine import GradientBooks
from psasc_bench.training import check_fit

IMAGES, ROWS, TOKENS = (3, 8, 8), (5,), (7,)
SHAPES = {"logistic": IMAGES, "mlp": ROWS, "resnet9": IMAGES, "embedding_bag": TOKENS}


def of(shape: tuple[int, ...], **options: Any) -> Dataset:
    return in_memory(shape, tokens=shape == TOKENS, **options)


def test_every_family_is_tried() -> None:
    assert set(SHAPES) == set(models.FAMILIES) <= set(models.names())


@pytest.mark.parametrize("name", SHAPES)
def test_network_is_built_for_shape_and_classes_and_can_be_trained(name: str) -> None:
    dataset = of(SHAPES[name], classes=4)
    check_fit(name, dataset, name="mine")
    assert models.create(name, dataset, seed=0)(models.inputs_like(dataset, 2)).shape == (2, 4)


@pytest.mark.parametrize("name", SHAPES)
def test_seed_determines_the_initial_weights(name: str) -> None:
    one, two, three = (flat(models.create(name, of(SHAPES[name]), seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize("name", SHAPES)
def test_weighted_sum_is_that_of_the_gradients_by_autograd(name: str) -> None:
    """Each example alone, in double precision."""
    dataset = of(SHAPES[name])
    model, x = models.create(name, dataset, seed=0).double(), models.inputs_like(dataset, 3)
    x = x.double() if x.is_floating_point() else x.clone().index_fill_(1, torch.tensor([5, 6]), 0)  # with padding
    y = torch.tensor([0, 1, 1])
    expected, norms = 0.0, list[Tensor]()
    for i in range(3):
        loss = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
        norms.append(gradient.norm())
        expected = expected + gradient / (1 + gradient.norm())
    books = GradientBooks(model)
    books.record(F.cross_entropy(model(x), y, reduction="none"), torch.ones(3, dtype=torch.float64))
    found = books.weighted_sum(lambda norm: 1 / (1 + norm))
    torch.testing.assert_close(found.norms, torch.stack(norms))
    ours = torch.cat([found.sums[p].flatten() for p in model.parameters()])
    torch.testing.assert_close(ours, expected)


def test_resnet9_has_the_parameters_of_the_paper() -> None:
    """By hand: convolutions 2,434,752, normalisations 2 (64 + 3 128 + 4 256), head 1,025 10."""
    model = models.FAMILIES["resnet9"]((3, 32, 32), 10)
    assert (
        sum(p.numel() for p in model.parameters()) == 2_434_752 + 2 * (64 + 3 * 128 + 4 * 256) + 1025 * 10 == 2_447_946
    )


def test_padding_of_a_text_changes_nothing() -> None:
    model = models.FAMILIES["embedding_bag"]((4,), 3)
    short, long = torch.tensor([[5, 2]]), torch.tensor([[5, 2, 0, 0]])
    torch.testing.assert_close(model(short), model(long))
    assert model(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "dataset", "told"),
    [
        ("resnet9", of(ROWS), r"resnet9: takes images .* not of shape \(5,\)"),
        ("resnet9", of((1, 4, 4)), "8x8 pixels at least"),
        ("embedding_bag", of(IMAGES), r"takes rows of token ids"),
        ("embedding_bag", of(TOKENS, highest=10_000), "does not take token ids up to 10000"),
        ("embedding_bag", of(ROWS), r"does not take examples of shape \(5,\)"),
        ("mlp", of(TOKENS), "does not take token ids"),
    ],
)
def test_data_that_a_network_is_not_for_is_refused_in_a_line(name: str, dataset: Dataset, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        check_fit(name, dataset, name="mine")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("datasets.mine.model: ")


def test_network_of_a_family_without_data_is_refused() -> None:
    with pytest.raises(ValueError, match="is built for a data set"):
        models.create("mlp", seed=0)


def flat(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_classes_are_those_of_all_labels() -> None:
    dataset = of(ROWS, classes=3)
    assert np.unique(dataset.y_train).tolist() == [0, 1, 2]
    assert models.create("logistic", dataset, seed=0)(torch.zeros(1, 5)).shape == (1, 3)
