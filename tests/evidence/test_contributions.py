"""What tells that the examples of a batch mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from psasc_bench.evidence import contributions


class CentredOverTheBatch(nn.Module):
    """Mixes the examples of a batch, and has no parameters by which to know it."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def test_mixing_of_examples_is_seen_in_the_outputs() -> None:
    images = torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    # float32 outputs of one size of batch and the same model differ by roundings alone
    assert contributions.mixing(nn.GroupNorm(2, 4), images) < 1e-5
    assert contributions.mixing(nn.BatchNorm2d(4), images) > 0.01
    assert contributions.mixing(CentredOverTheBatch(), images) > 0.01
