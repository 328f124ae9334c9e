"""The Gaussian mechanism: the only place where noise is added."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def privatise(
    gradient_sum: Tensor,
    *,
    sensitivity: float,
    noise_multiplier: float,
    expected_batch_size: float,
    generator: torch.Generator,
) -> Tensor:
    """Release ``(gradient_sum + N(0, (noise_multiplier * sensitivity)^2 I)) / expected_batch_size``, shaped like the
    sum.

    The divisor is the public ``q N``, never the size of the batch drawn: that is private. ``noise_multiplier = 0`` (no
    privacy) draws nothing. Raises ``ValueError`` for noise against an unbounded sensitivity.
    """
    scale = noise_scale(sensitivity=sensitivity, noise_multiplier=noise_multiplier)
    if scale == 0:
        return gradient_sum / expected_batch_size
    noise = torch.randn(gradient_sum.shape, dtype=gradient_sum.dtype, device=gradient_sum.device, generator=generator)
    return noise.mul_(scale).add_(gradient_sum).div_(expected_batch_size)


def noise_scale(*, sensitivity: float, noise_multiplier: float) -> float:
    """The noise's standard deviation, ``noise_multiplier * sensitivity``; 0 without privacy. Raises ``ValueError`` for
    noise against an unbounded sensitivity."""
    if noise_multiplier == 0:
        return 0.0
    scale = noise_multiplier * sensitivity
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(
            f"no noise gives privacy here: noise multiplier {noise_multiplier} x sensitivity {sensitivity}; "
            "a private method needs both finite and > 0"
        )
    return scale


def remaining_multiplier(noise_multiplier: float, *, beside: float) -> float:
    """The noise multiplier ``s`` of a release that, together with one of noise multiplier ``beside`` from the same
    batch, costs what one of ``noise_multiplier`` costs: ``1/s^2 = 1/noise_multiplier^2 - 1/beside^2``.

    Each release divided by its noise's standard deviation, the two are one Gaussian vector of unit noise, which an
    example moves by ``sqrt(1/s^2 + 1/beside^2)`` at most. Without noise (0) there is nothing to share: 0. Raises
    ``ValueError`` where the other release alone costs as much, or more.
    """
    if noise_multiplier == 0:
        return 0.0
    if not beside > noise_multiplier:
        raise ValueError(
            f"the statistic's noise multiplier is {beside:g}; it must be above {noise_multiplier:g}, that of the whole "
            "step, or nothing is left for the gradient: raise the expected batch size or epsilon"
        )
    return noise_multiplier / math.sqrt(1 - (noise_multiplier / beside) ** 2)
