"""Weights of single layers against per-example gradients by plain autograd, layer by layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from explicit_gradients import clip, explicit_gradients, relative_error
from test_inner_momentum import MODELS, batch
from torch import Tensor, nn

from psasc_bench.engine import ByLayer, GradientBooks


def tied() -> nn.Sequential:
    """Two layers with one weight, and a bias each: the second one's layer is its bias alone."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Tanh(), nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 10))
    model[5].weight = model[3].weight
    return model


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return ({"tied": tied} | MODELS)[name]().double()


def layers_of(model: nn.Module) -> list[list[nn.Parameter]]:
    layers: dict[nn.Parameter, nn.Module] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            layers.setdefault(parameter, module)
    return [[p for p in layers if layers[p] is module] for module in dict.fromkeys(layers.values())]


@pytest.mark.parametrize("name", [*MODELS, "tied"])
def test_each_layer_is_weighed_by_its_own_norm(name: str) -> None:
    (x, y), model = batch(), made(name)
    losses = F.cross_entropy(model(x), y, reduction="none")
    gradients = dict(
        zip(
            model.parameters(),
            explicit_gradients(model, lambda model: F.cross_entropy(model(x), y, reduction="none")),
            strict=True,
        )
    )
    books, seen = GradientBooks(model), []

    def weights(norms: Tensor) -> Tensor:
        seen.append(norms)
        return clip(norms)

    books.record(F.cross_entropy(model(x), y, reduction="none"), torch.ones(5))
    result = books.weighted_sum(ByLayer(weights))
    layers = layers_of(model)
    assert seen[0].shape == (5, len(layers))
    squares = torch.zeros(len(losses), dtype=torch.float64)
    for layer in layers:
        norms = torch.stack([gradients[p].flatten(1).norm(dim=1) for p in layer]).norm(dim=0)
        squares += norms.square()
        for parameter in layer:
            # 1e-10 leaves float64 some 10^5 roundings
            expected = torch.tensordot(clip(norms), gradients[parameter], 1)
            assert relative_error(result.sums[parameter], expected) < 1e-10
    assert relative_error(result.norms, squares.sqrt()) < 1e-10


@pytest.mark.parametrize("name", [*MODELS, "tied"])
def test_one_weight_for_all_layers_is_the_weight_of_the_whole(name: str) -> None:
    x, y = batch()
    sums = []
    for weight in (torch.ones_like, ByLayer(torch.ones_like)):
        model = made(name)
        books = GradientBooks(model)
        books.record(F.cross_entropy(model(x), y, reduction="none"), torch.ones(5))
        result = books.weighted_sum(weight)
        sums.append([result.sums[p] for p in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*sums, strict=True))


def test_example_with_a_layer_that_is_not_finite_contributes_to_none() -> None:
    (x, y), model = batch(), made("digits_cnn")
    books = GradientBooks(model)
    scale = torch.tensor([1.0, 1, float("nan"), 1, 1])
    books.record(F.cross_entropy(model(x), y, reduction="none") * scale, torch.ones(5))
    result = books.weighted_sum(ByLayer(torch.ones_like))
    assert result.zeroed.tolist() == [False, False, True, False, False]
    assert all(bool(total.isfinite().all()) for total in result.sums.values())
