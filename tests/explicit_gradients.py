"""The reference that the engine is compared with: one backward pass per example, and sums written out."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks, WeightedSum

Losses = Callable[[nn.Module], Tensor]  # the losses [B] of a model
Weight = Callable[[Tensor], Tensor]


def clip(norms: Tensor) -> Tensor:
    """A weight function that tells every norm from every other."""
    return 0.1 / (norms + 0.01)


def explicit_gradients(model: nn.Module, losses: Losses) -> list[Tensor]:
    """Per trainable parameter its gradients ``[B, ...]``, one backward pass an example, in float64."""
    return rows_of(copy.deepcopy(model).double(), losses)


def rows_of(model: nn.Module, losses: Losses) -> list[Tensor]:
    """The same, of the model itself."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses(model)]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def explicit_sums(gradients: list[Tensor], weight: Weight) -> tuple[list[Tensor], Tensor]:
    """``sum_i w(||v_i||) v_i`` per parameter, and the norms ``[B]``."""
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
    return [torch.tensordot(weight(norms), g, 1) for g in gradients], norms


def from_books(model: nn.Module, losses: Losses, weight: Weight = clip) -> WeightedSum:
    """One recorded point, no padding."""
    books = GradientBooks(model)
    values = losses(model)
    books.record(values, torch.ones(len(values)))
    return books.weighted_sum(weight)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """L2 norm of the difference over that of what was expected."""
    assert actual.shape == expected.shape
    return float((actual.double() - expected).norm() / expected.norm().clamp(min=1e-30))


def check(model: nn.Module, losses: Losses, *, weight: Weight = clip, tolerance: float = 1e-10) -> None:
    """The engine's sums and norms are those of explicit gradients. 1e-10 leaves float64 some 10^5 roundings."""
    compare(model, losses, explicit_gradients(model, losses), weight=weight, tolerance=tolerance)


def compare(
    model: nn.Module, losses: Losses, gradients: list[Tensor], *, weight: Weight = clip, tolerance: float = 1e-10
) -> None:
    """The same, of gradients that are there."""
    sums, norms = explicit_sums(gradients, weight)
    result = from_books(model, losses, weight)
    parameters = [p for p in model.parameters() if p.requires_grad]
    assert set(result.sums) == set(parameters)
    assert relative_error(result.norms, norms) < tolerance
    for parameter, expected in zip(parameters, sums, strict=True):
        assert relative_error(result.sums[parameter], expected) < tolerance
