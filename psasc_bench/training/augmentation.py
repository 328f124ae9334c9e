"""Images altered at random, each by itself: what is done to an example depends on no other, nor on its micro-batch.

A coin is a hash of (seed, step, view, purpose, example), so that there is no generator whose state could depend on the
batch or would have to be saved.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SHIFT_SHARE = 8  # shifts are up to an eighth of the side: 4 pixels of 32, as in De et al. 2022
DOWN, RIGHT, FLIP = range(3)  # purposes of coins
GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15  # of SplitMix64, as int64


def augmented(
    images: Tensor, indices: Tensor, *, ways: Sequence[str], count: int, seed: int, step: int
) -> list[Tensor]:
    """``count`` views of ``images [B, C, H, W]``, the examples ``indices [B]``, of the same shape, channels last.
    ``ways`` has ``shift`` (by up to an eighth of the side, what is behind the edge being reflected there), ``flip``
    (left to right, with probability 1/2) or both; without any, the images as they are.

    De et al., Unlocking High-Accuracy Differentially Private Image Classification through Scale, 2022, arXiv
    2204.13650.
    """
    if not ways:
        return [images] * count
    return [_view(images, _Coins(indices, seed, step, view), ways) for view in range(count)]


class _Coins:
    """Those of one view of the examples ``indices [B]``."""

    def __init__(self, indices: Tensor, *key: int) -> None:
        self._hash = indices
        for part in key:
            self._hash = _mixed(self._hash ^ part)

    def below(self, bound: int, purpose: int) -> Tensor:
        """Whole numbers ``[B]`` from 0 to ``bound - 1``, equally likely (to ``bound / 2^32``)."""
        return _shifted(_mixed(self._hash ^ purpose), 32) % bound


def _view(images: Tensor, coins: _Coins, ways: Sequence[str]) -> Tensor:
    rows, columns = (torch.arange(side, device=images.device).expand(len(images), -1) for side in images.shape[2:])
    if "shift" in ways:
        rows, columns = (
            _reflected(places, coins.below(2 * most + 1, purpose) - most)
            for places, purpose in ((rows, DOWN), (columns, RIGHT))
            for most in [places.shape[1] // SHIFT_SHARE]
        )
    if "flip" in ways:
        columns = columns.where(coins.below(2, FLIP)[:, None] == 0, columns.flip(1))
    examples = torch.arange(len(images), device=images.device)
    chosen = images.permute(0, 2, 3, 1)[examples[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2)


def _reflected(places: Tensor, shifts: Tensor) -> Tensor:
    """``places [B, side]`` moved by ``shifts [B]``, those beyond an edge reflected at it."""
    last = places.shape[1] - 1
    return last - (last - (places + shifts[:, None]).abs()).abs()


def _mixed(x: Tensor) -> Tensor:
    """The output of SplitMix64 (Steele et al. 2014) for the state ``x``: int64 wraps around as unsigned numbers do."""
    x = x + GOLDEN
    x = (x ^ _shifted(x, 30)) * FIRST
    x = (x ^ _shifted(x, 27)) * SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """To the right, with zeros moving in."""
    return (x >> by) & ((1 << (64 - by)) - 1)
