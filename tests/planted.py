"""Known-wrong implementations, each planted into the functions that training calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from psasc_bench.engine import gradients
from psasc_bench.evidence import canaries, noise_and_sampling, step_audit
from psasc_bench.methods import Method
from psasc_bench.methods.dp_psac import DPPSAC
from psasc_bench.methods.dp_psasc import DPPSASC
from psasc_bench.privacy import mechanism, sampling
from psasc_bench.training import loop, step
from psasc_bench.training.loop import Outcome

real_privatise, real_poisson_batch, real_micro_batches, real_weighted_sums = (
    mechanism.privatise,
    sampling.poisson_batch,
    sampling.micro_batches,
    gradients.GradientBooks.weighted_sums,
)
Weight = Callable[[Tensor], Tensor]
SOUND = DPPSASC(C=0.2, s=0.5, r=0.1)  # a right method, beside the wrong ones


def plant(monkeypatch: pytest.MonkeyPatch, function: str, wrong: Callable[..., Any]) -> None:
    """Put ``wrong`` in the place of ``function``: in its own module, and where training and its checks import it."""
    for module in (mechanism, sampling, step, loop, noise_and_sampling, canaries, step_audit):
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


def never_empty(examples: int, sampling_rate: float, generator: torch.Generator) -> Tensor:
    """Draws again until there is something to train on: empty batches are accounted for but never happen."""
    batch = real_poisson_batch(examples, sampling_rate, generator)
    while not len(batch):
        batch = real_poisson_batch(examples, sampling_rate, generator)
    return batch


def no_noise_without_examples(total: Tensor, **how: Any) -> Tensor:
    """Skips the release of an empty batch, which is accounted for all the same."""
    return real_privatise(total, **how) if total.any() else torch.zeros_like(total)


def plant_realised_divisor(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0

    def watched(indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal drawn
        drawn = len(indices)
        return real_micro_batches(indices, size)

    def divided(total: Tensor, **how: Any) -> Tensor:
        return real_privatise(total, **how | {"expected_batch_size": max(drawn, 1)})

    plant(monkeypatch, "micro_batches", watched)
    plant(monkeypatch, "privatise", divided)


def plant_noise_to_the_batchs_own_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = math.inf

    def watched(books: gradients.GradientBooks, weights: Sequence[Weight]) -> list[gradients.WeightedSum]:
        nonlocal largest
        (result,) = real_weighted_sums(books, weights)
        largest = float((result.norms * weights[0](result.norms)).max())
        return [result]

    def noised(total: Tensor, *, sensitivity: float, **how: Any) -> Tensor:
        return real_privatise(total, sensitivity=min(sensitivity, max(largest, 1e-30)), **how)

    monkeypatch.setattr(gradients.GradientBooks, "weighted_sums", watched)
    plant(monkeypatch, "privatise", noised)


def weighted_twice(books: gradients.GradientBooks, weights: Sequence[Weight]) -> list[gradients.WeightedSum]:
    return real_weighted_sums(books, [lambda norms, weight=weight: weight(norms) ** 2 for weight in weights])


def no_empty_batch(indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Crashes on an empty batch, as stacking nothing does."""
    torch.stack(list(indices))
    return real_micro_batches(indices, size)


@dataclass(frozen=True, kw_only=True)
class MisplacedParentheses(DPPSAC):
    """``C/(x + (r/x + r))`` for ``C/(x + r/(x + r))``."""

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + (self.r / norm + self.r))


@dataclass(frozen=True, kw_only=True)
class WeighedAgainstTheBatch(DPPSASC):
    """Looks at the other examples: norms are taken in units of the batch's mean."""

    def weight(self, norm: Tensor) -> Tensor:
        return super().weight(norm / norm.mean().clamp(min=1e-30))


@dataclass(frozen=True, kw_only=True)
class BatchMean(Method):
    """``w(x) = C m / ((m + 1) (x + 0.01))``, m the mean norm of the batch."""

    title = "batch mean"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        mean = norm.mean()
        return self.C * mean / (mean + 1) / (norm + 0.01)

    def sensitivity(self) -> float:
        return self.C


@dataclass(frozen=True, kw_only=True)
class TurnedRound(Method):
    """``w(x) = C`` below norm 1, ``-2 C/x`` above: contributes up to 2 C, against the gradient."""

    title = "turned round"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        far = -2 * self.C / norm.clamp(min=1)
        return far.where(norm > 1, norm.new_tensor(self.C))

    def sensitivity(self) -> float:
        return self.C


class BestEpoch(Outcome):
    """Reports the epoch of the best test accuracy as the result."""

    def __init__(self, *, curve: Any, **rest: Any) -> None:
        super().__init__(curve=sorted(curve, key=lambda row: row["test_accuracy"]), **rest)


class StoppedEarly(Outcome):
    """Ends the run at the first epoch whose test accuracy is not beaten by the next."""

    def __init__(self, *, curve: Any, **rest: Any) -> None:
        falls = [after["test_accuracy"] <= row["test_accuracy"] for row, after in pairwise(curve)]
        kept = curve[: falls.index(True) + 1] if True in falls else curve
        super().__init__(curve=kept, **(rest | {"steps_taken": kept[-1]["step"]}))
