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
