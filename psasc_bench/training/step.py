"""What one step of private training lets out: the one path that training, the checks and the audit all take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from psasc_bench.clock import Clock
from psasc_bench.engine import ByLayer, GradientBooks, flatten, gather, point_at
from psasc_bench.methods import Adaptive, Method, PerLayer
from psasc_bench.privacy import micro_batches, noise_scale, privatise, remaining_multiplier

ROUNDING = 1e-4  # relative: of lengths in float32


@dataclass(frozen=True)
class GradientSum:
    """``total [P]``: ``sum_i w(||v_i||) v_i`` over a batch. Of the same ``n`` examples, not private: ``norms [n]`` of
    ``v_i``, ``losses [n]`` at the newest iterate in the last view, and which were not finite and so contributed zero,
    ``zeroed [n]``."""

    total: Tensor
    norms: Tensor
    losses: Tensor
    zeroed: Tensor

    @property
    def nonfinite(self) -> int:
        """How many were not finite."""
        return int(self.zeroed.sum())


@dataclass(frozen=True)
class Released:
    """What one step lets out, and all that what comes after may see of its batch: the ``gradient [P]``, whose noise has
    the standard deviation ``noise_scale`` in each coordinate, and the ``statistic [m]``, of which most methods have
    none (``[0]``)."""

    gradient: Tensor
    statistic: Tensor
    noise_scale: float


View = Callable[[], Tensor]  # losses [B] of one batch under the model as it stands at every call


class Objective:
    """A ``model`` and ``losses``, which fetches the examples at indices ``[B]`` and answers with their views: one, or
    each example augmented in as many ways. An example's gradient is the mean over its views. ``parameters [P]`` are the
    model's initial ones, as one buffer."""

    def __init__(self, model: nn.Module, losses: Callable[[Tensor], Sequence[View]]) -> None:
        self.model, self.losses = model, losses
        self.parameters = flatten(model)
        self._parts = list(model.parameters())
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
        ``[P]``, oldest first; without any, that of the model as it stands). The model is left at the newest iterate."""
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
        points: Sequence[Tensor | None] = iterates or [None]
        clock = clock or Clock()
        (coefficients,) = {tuple(averaging(len(points), method.decay)) for method in methods}
        totals = [torch.zeros_like(self.parameters) for _ in methods]
        norms, losses = [self.parameters.new_zeros(0)], [self.parameters.new_zeros(0)]
        zeroed = [torch.zeros(0, dtype=torch.bool, device=self.parameters.device)]
        for indices, mask in micro_batches(batch, micro_batch_size):
            with clock("passes"):
                views = self.losses(indices)
                for losses_now in views:
                    for point, coefficient in zip(points, coefficients, strict=True):
                        if point is not None:
                            point_at(self._parts, point)
                        each = losses_now()
                        self._books.record(each, mask, coefficient=coefficient / len(views))
            with clock("weighting"):
                weighted = self._books.weighted_sums([weight_of(method) for method in methods])
                for total, of_one in zip(totals, weighted, strict=True):
                    total += gather(self._parts, of_one.sums)
            drawn = mask.bool()
            norms.append(weighted[0].norms[drawn])
            losses.append(each.detach()[drawn])
            zeroed.append(weighted[0].zeroed[drawn])
        return [GradientSum(total, *map(torch.cat, (norms, losses, zeroed))) for total in totals]


def release(
    gradient_sum: GradientSum,
    method: Method,
    *,
    noise_multiplier: float,
    expected_batch_size: float,
    generator: torch.Generator,
    statistic_generator: torch.Generator,
) -> Released:
    """What may be let out of a batch: its sum ``[P]`` over the expected batch size with the noise that the method's
    sensitivity asks for, and its statistic, if it has one, likewise with noise of a stream of its own. Both together
    cost what ``noise_multiplier`` costs. Raises ``ValueError`` where no noise gives that."""
    share = shares(method, noise_multiplier=noise_multiplier, expected_batch_size=expected_batch_size)
    gradient = privatise(
        gradient_sum.total,
        sensitivity=method.sensitivity(),
        noise_multiplier=share.gradient,
        expected_batch_size=expected_batch_size,
        generator=generator,
    )
    statistic = gradient.new_zeros(0)
    if isinstance(method, Adaptive):
        values = method.statistic(gradient_sum.norms).masked_fill(gradient_sum.zeroed[:, None], 0)
        statistic = release_statistic(
            values.sum(0),
            method,
            noise_multiplier=noise_multiplier,
            expected_batch_size=expected_batch_size,
            generator=statistic_generator,
        )
    scale = noise_scale(sensitivity=method.sensitivity(), noise_multiplier=share.gradient) / expected_batch_size
    return Released(gradient, statistic, scale)


def check_bounds(method: Method, gradient_sum: GradientSum) -> None:
    """Raises ``ValueError`` if, at the settings that an adaptive method has come to, an example of this batch moves
    what is released further than the noise is for: the checks have seen it begin, and not all that may follow."""
    if not isinstance(method, Adaptive):
        return
    norms = gradient_sum.norms
    moved = {"statistic": (method.statistic(norms).square().sum(1).sqrt(), method.statistic_sensitivity())}
    if not isinstance(method, PerLayer):
        moved["weighted gradient"] = (norms * method.weight(norms).abs(), method.sensitivity())
    for what, (lengths, sensitivity) in moved.items():
        if not bool((lengths <= sensitivity * (1 + ROUNDING)).all()):
            raise ValueError(
                f"{method.title}: at the settings it has come to, an example's {what} is {float(lengths.max()):g} "
                f"long, above the sensitivity {sensitivity:g} that it claims"
            )


def release_statistic(
    total: Tensor,
    method: Adaptive,
    *,
    noise_multiplier: float,
    expected_batch_size: float,
    generator: torch.Generator,
) -> Tensor:
    """A sum of values ``[m]``, or of several batches ``[n, m]``, with the noise that a step of ``noise_multiplier``
    gives the statistic, over the expected batch size."""
    return privatise(
        total,
        sensitivity=method.statistic_sensitivity(),
        noise_multiplier=shares(
            method, noise_multiplier=noise_multiplier, expected_batch_size=expected_batch_size
        ).statistic,
        expected_batch_size=expected_batch_size,
        generator=generator,
    )


def advanced(method: Method, released: Released) -> Method:
    """The method of the next step."""
    return method.advance(released.statistic) if isinstance(method, Adaptive) else method


@dataclass(frozen=True)
class Shares:
    """Noise multipliers of the two releases of a step, each against its own sensitivity; a statistic that there is not
    has infinite noise."""

    gradient: float
    statistic: float


def shares(method: Method, *, noise_multiplier: float, expected_batch_size: float) -> Shares:
    """What a step's ``noise_multiplier``, which the budget gives, is for its releases; 0 stays 0. Raises ``ValueError``
    for a statistic with no more noise than the step's."""
    if not isinstance(method, Adaptive):
        return Shares(noise_multiplier, math.inf)
    statistic = method.statistic_multiplier(noise_multiplier, expected_batch_size) if noise_multiplier else 0.0
    try:
        return Shares(remaining_multiplier(noise_multiplier, beside=statistic), statistic)
    except ValueError as error:
        raise ValueError(f"{method.title}: {error}") from None


def releases(method: Method, *, noise_multiplier: float, expected_batch_size: float) -> dict[str, dict[str, float]]:
    """Of a method that releases two things a step, each with its noise multiplier and its sensitivity at the method's
    settings; empty for others, whose one release the budget describes, and without noise."""
    if not isinstance(method, Adaptive) or not noise_multiplier:
        return {}
    share = shares(method, noise_multiplier=noise_multiplier, expected_batch_size=expected_batch_size)
    return {
        "gradient": {"noise_multiplier": share.gradient, "sensitivity": method.sensitivity()},
        "statistic": {"noise_multiplier": share.statistic, "sensitivity": method.statistic_sensitivity()},
    }


def weight_of(method: Method) -> Callable[[Tensor], Tensor] | ByLayer:
    """What the engine is to ask for weights."""
    return ByLayer(method.layer_weights) if isinstance(method, PerLayer) else method.weight


def averaging(count: int, decay: float) -> list[float]:
    """Inner momentum's coefficients for ``count`` iterates, oldest first: ``decay^age / sum``. One iterate has 1."""
    powers = [decay**age for age in reversed(range(count))]
    return [power / sum(powers) for power in powers]
