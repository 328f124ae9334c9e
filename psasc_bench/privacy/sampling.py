"""Poisson sampling of training batches, and their cutting into micro-batches of one static size."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def poisson_batch(examples: int, sampling_rate: float, generator: torch.Generator) -> Tensor:
    """Indices ``[n]`` (int64, ascending) of one batch: each of ``examples`` is in it with probability
    ``sampling_rate``, independently of all else, so that ``n`` varies and may be 0.

    The coins are float64: 53 bits keep the realised rate within 2^-53 of the accounted one.
    """
    coins = torch.rand(examples, dtype=torch.float64, generator=generator, device=generator.device)
    return (coins < sampling_rate).nonzero().squeeze(1)


def poisson_batches(
    examples: int, sampling_rate: float, steps: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """``steps`` batches, each as ``poisson_batch`` draws it: exactly the batches that an accountant is told of by
    ``sampling_rate``. Some may be empty; each is a step. A ``generator`` makes them repeatable, and must then be kept
    as secret as the data; without one they are drawn by a new one that the operating system has seeded. Indices are
    on the generator's device.

    Raises ``ValueError`` for a rate outside (0, 1], and for no examples or steps.
    """
    if not (examples >= 1 and steps >= 1 and 0 < sampling_rate <= 1):
        raise ValueError(
            f"{examples} examples, sampling rate {sampling_rate:g}, {steps} steps: examples and steps must be at least "
            "1, and the rate (expected batch size / examples) in (0, 1]"
        )
    draws = generator or unpredictable_generator()
    return (poisson_batch(examples, sampling_rate, draws) for _ in range(steps))


def unpredictable_generator(device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own, seeded by the operating system."""
    generator = torch.Generator(device)
    generator.seed()
    return generator


def micro_batches(indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut ``indices [n]`` into ``ceil(n / size)`` pairs ``(indices [size], mask [size])``; the last is padded with
    example 0 under a mask of 0. An empty batch gives none."""
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        padding = size - len(part)
        mask = torch.ones(size, device=indices.device)
        if padding:
            part = torch.cat([part, part.new_zeros(padding)])
            mask[-padding:] = 0
        yield part, mask
