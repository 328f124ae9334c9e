"""Known-wrong implementations, each planted into the functions that training calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from psasc_bench import gradients, mechanism, sampling, train
from psasc_bench.methods.dp_psasc import DPPSASC

real_privatise, real_poisson_batch, real_weighted_sum = (
    mechanism.privatise,
    sampling.poisson_batch,
    gradients.GradientBooks.weighted_sum,
)


def plant(monkeypatch: pytest.MonkeyPatch, function: str, wrong: Callable[..., Any]) -> None:
    """Put ``wrong`` in the place of ``function`` in its own module and wherever training has imported it to."""
    for module in (mechanism, sampling, train):
        if hasattr(module, function):
            monkeypatch.setattr(module, function, wrong)


@dataclass(frozen=True, kw_only=True)
class NoiseWithoutS(DPPSASC):
    """Noise of ``sigma C`` where the sum moves by ``C/s``."""

    def sensitivity(self) -> float:
        return self.C


def half_the_noise(total: Tensor, *, noise_multiplier: float, **how: Any) -> Tensor:
    return real_privatise(total, noise_multiplier=noise_multiplier / 2, **how)


def same_noise_every_step(total: Tensor, *, generator: torch.Generator, **how: Any) -> Tensor:
    generator.manual_seed(1)
    return real_privatise(total, generator=generator, **how)


def twice_the_rate(examples: int, sampling_rate: float, generator: torch.Generator) -> Tensor:
    return real_poisson_batch(examples, min(1.0, 2 * sampling_rate), generator)


class Shuffled:
    """Batches of one size, cut from a new permutation every epoch."""

    def __init__(self) -> None:
        self.left = torch.zeros(0, dtype=torch.int64)

    def __call__(self, examples: int, sampling_rate: float, generator: torch.Generator) -> Tensor:
        size = round(examples * sampling_rate)
        if len(self.left) < size:
            self.left = torch.randperm(examples, generator=generator)
        batch, self.left = self.left[:size], self.left[size:]
        return batch.sort().values
