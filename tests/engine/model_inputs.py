"""Images, losses and weighted sums of the protocol's models."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from explicit_gradients import clip
from model_shapes import SHAPES
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks, WeightedSum


def images(model: str, *, batch: int = 6, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, *SHAPES[model], generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.randint(0, 10, (batch,), generator=generator)


def cross_entropy(x: Tensor, y: Tensor) -> Callable[[nn.Module], Tensor]:
    """The losses of a model, which gets ``x`` in its own precision."""
    return lambda model: F.cross_entropy(model(x.to(next(model.parameters()).dtype)), y, reduction="none")


def of_outputs(x: Tensor) -> Callable[[nn.Module], Tensor]:
    """Losses that need no labels."""
    return lambda model: (
        model(x.to(next(model.parameters()).dtype) if x.is_floating_point() else x).flatten(1).tanh().sum(1)
    )


def weighted_sum(model: nn.Module, x: Tensor, y: Tensor, mask: Tensor) -> WeightedSum:
    books = GradientBooks(model)
    books.record(F.cross_entropy(model(x), y, reduction="none"), mask)
    return books.weighted_sum(clip)


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
