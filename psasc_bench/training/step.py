"""What one step of private training lets out: the one path that training, the checks and the audit all take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from psasc_bench.clock import Clock
from psasc_bench.engine import GradientBooks, flatten, gather, point_at
from psasc_bench.methods import Method
from psasc_bench.privacy import micro_batches, privatise


@dataclass(frozen=True)
class GradientSum:
    """``total [P]``: ``sum_i w(||v_i||) v_i`` over a batch. Of the same ``n`` examples, not private: ``norms [n]`` of
    ``v_i``, ``losses [n]`` at the newest iterate, and how many were ``nonfinite`` and so contributed zero."""

    total: Tensor
    norms: Tensor
    losses: Tensor
    nonfinite: int


class Objective:
    """A ``model`` and ``losses``, which fetches the examples at indices ``[B]`` and answers with a function that gives
    their losses ``[B]`` under the model as it stands at every call. ``parameters [P]`` are the model's initial ones, as
    one buffer."""

    def __init__(self, model: nn.Module, losses: Callable[[Tensor], Callable[[], Tensor]]) -> None:
        self.model, self.losses = model, losses
        self.parameters = flatten(model)
        self._views = list(model.parameters())
        self._books = GradientBooks(model)

    def gradient_sum(
        self,
        method: Method,
        batch: Tensor,
        *,
        micro_batch_size: int,
        iterates: Sequence[Tensor] = (),
        clock: Clock | None = None,
    ) -> GradientSum:
        """Over the indices in ``batch [n]``, ``v_i`` being example i's gradient averaged over ``iterates`` (each
        ``[P]``, oldest first; without any, at the initial parameters). The model is left at the newest iterate."""
        return self.gradient_sums([method], batch, micro_batch_size=micro_batch_size, iterates=iterates, clock=clock)[0]

    def gradient_sums(
        self,
        methods: Sequence[Method],
        batch: Tensor,
        *,
        micro_batch_size: int,
        iterates: Sequence[Tensor] = (),
        clock: Clock | None = None,
    ) -> list[GradientSum]:
        """As ``gradient_sum``, of several ``methods`` in one pass. Raises ``ValueError`` unless all average alike."""
        iterates, clock = iterates or [self.parameters], clock or Clock()
        (coefficients,) = {tuple(averaging(len(iterates), method.decay)) for method in methods}
        totals, nonfinite = [torch.zeros_like(self.parameters) for _ in methods], 0
        norms, losses = [self.parameters.new_zeros(0)], [self.parameters.new_zeros(0)]
        for indices, mask in micro_batches(batch, micro_batch_size):
            with clock("passes"):
                losses_now = self.losses(indices)
                for iterate, coefficient in zip(iterates, coefficients, strict=True):
                    point_at(self._views, iterate)
                    each = losses_now()
                    self._books.record(each, mask, coefficient=coefficient)
            with clock("weighting"):
                weighted = self._books.weighted_sums([method.weight for method in methods])
                for total, of_one in zip(totals, weighted, strict=True):
                    total += gather(self._views, of_one.sums)
            drawn = mask.bool()
            norms.append(weighted[0].norms[drawn])
            losses.append(each.detach()[drawn])
            nonfinite += weighted[0].nonfinite
        return [GradientSum(total, torch.cat(norms), torch.cat(losses), nonfinite) for total in totals]


def release(
    gradient_sum: GradientSum,
    method: Method,
    *,
    noise_multiplier: float,
    expected_batch_size: float,
    generator: torch.Generator,
) -> Tensor:
    """The sum ``[P]`` with the noise that the method's sensitivity asks for, over the expected batch size."""
    return privatise(
        gradient_sum.total,
        sensitivity=method.sensitivity(),
        noise_multiplier=noise_multiplier,
        expected_batch_size=expected_batch_size,
        generator=generator,
    )


def averaging(count: int, decay: float) -> list[float]:
    """Inner momentum's coefficients for ``count`` iterates, oldest first: ``decay^age / sum``. One iterate has 1."""
    powers = [decay**age for age in reversed(range(count))]
    return [power / sum(powers) for power in powers]
