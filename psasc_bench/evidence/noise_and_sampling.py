"""What is random, and what must not be, in batches and noise: figures for the ``battery``.

A figure's docstring begins with what the battery prints beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from psasc_bench.evidence.contributions import relative_difference
from psasc_bench.evidence.worst_cases import diracs, one_step
from psasc_bench.methods import Adaptive, Method
from psasc_bench.privacy import poisson_batch, privatise

NOISE_MULTIPLIER = 1.5  # any will do that is not 1, which would hide a forgotten factor
EXPECTED_BATCH_SIZE = 1000.0  # so large that a statistic may have a share of the noise that grows with it
COORDINATES = 200_000  # to estimate the noise's scale from: its standard error is then 0.16 %
DRAWS = 1000


def divisor(method: Method) -> float:
    """largest relative change of the divisor with the batch size (1 to 50): it is the public expected batch size"""
    problem, worst = diracs(torch.ones(50), parameters=60), 0.0
    for size in (1, 7, 50):
        total = problem.gradient_sum(method, torch.arange(size), micro_batch_size=64).total
        released = one_step(
            problem,
            method,
            torch.arange(size),
            noise_multiplier=0.0,
            expected_batch_size=EXPECTED_BATCH_SIZE,
            generator=torch.Generator().manual_seed(5),
        )
        worst = max(worst, relative_difference(released.gradient * EXPECTED_BATCH_SIZE, total))
    return worst


def _noises(method: Method) -> Iterator[Tensor]:
    """What was released in coordinates that no gradient touches, in units of the noise's due standard deviation, from
    an empty batch, an ordinary one, a single huge gradient, fifty tiny ones, and one that is all NaN."""
    norms = torch.cat([torch.ones(50), torch.tensor([1e15]), torch.full((50,), 1e-12), torch.full((5,), math.nan)])
    problem = diracs(norms, parameters=len(norms) + COORDINATES)
    generator = torch.Generator().manual_seed(6)
    due = gradient_multiplier(method) * method.sensitivity() / EXPECTED_BATCH_SIZE
    for batch in (range(0), range(50), range(50, 51), range(51, 101), range(101, 106)):
        released = one_step(
            problem,
            method,
            torch.tensor(batch, dtype=torch.int64),
            noise_multiplier=NOISE_MULTIPLIER,
            expected_batch_size=EXPECTED_BATCH_SIZE,
            generator=generator,
        )
        yield released.gradient[len(norms) :].double() / due


def gradient_multiplier(method: Method) -> float:
    """That of the weighted sum, of a step of ``NOISE_MULTIPLIER``: more where a statistic is released beside it."""
    if not isinstance(method, Adaptive):
        return NOISE_MULTIPLIER
    beside = method.statistic_multiplier(NOISE_MULTIPLIER, EXPECTED_BATCH_SIZE)
    return float((NOISE_MULTIPLIER**-2 - beside**-2) ** -0.5)


def noise_scale(method: Method) -> float:
    """largest relative error of the noise's standard deviation; empty, one-example, tiny, huge, all-NaN batches"""
    return max(abs(float(noise.square().mean().sqrt()) - 1) for noise in _noises(method))


def noise_shape(method: Method) -> float:
    """largest Kolmogorov-Smirnov distance of the noise from a normal distribution, in units of 1/sqrt(n)"""
    worst = 0.0
    for noise in _noises(method):
        expected = torch.special.ndtr(noise.sort().values)
        observed = torch.arange(1, len(noise) + 1, dtype=torch.float64) / len(noise)
        worst = max(worst, float((observed - expected).abs().max()) * math.sqrt(len(noise)))
    return worst


def noise_independence(method: Method) -> float:
    """largest correlation of the noise with another step's or a neighbouring coordinate's, in standard errors"""
    noises = list(_noises(method))
    pairs = [(one, two) for i, one in enumerate(noises) for two in noises[:i]]
    pairs += [(noise[1:], noise[:-1]) for noise in noises]
    return max(_correlation(one, two) * math.sqrt(len(one)) for one, two in pairs)


def _correlation(one: Tensor, two: Tensor) -> float:
    scale = float(one.norm() * two.norm())
    return abs(float(one @ two)) / scale if scale else 1.0


def noise_refused(_: Method) -> float:
    """1 if noise can be added for show, although no noise makes this private"""
    try:
        privatise(
            torch.zeros(2),
            sensitivity=math.inf,
            noise_multiplier=1.0,
            expected_batch_size=1.0,
            generator=torch.Generator(),
        )
    except ValueError:
        return 0.0
    return 1.0


def _batches(examples: int, sampling_rate: float) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [poisson_batch(examples, sampling_rate, generator) for _ in range(DRAWS)]


def sampling_rate(_: Method) -> float:
    """error of the share of examples drawn, in standard errors"""
    count = sum(len(batch) for batch in _batches(200, 0.1))
    return abs(count - DRAWS * 200 * 0.1) / math.sqrt(DRAWS * 200 * 0.1 * 0.9)


def sampling_spread(_: Method) -> float:
    """error of the batch sizes' variance (Poisson sampling has N q (1 - q), fixed sizes none), in standard errors"""
    sizes = torch.tensor([float(len(batch)) for batch in _batches(200, 0.1)], dtype=torch.float64)
    return abs(float(sizes.var()) / (200 * 0.1 * 0.9) - 1) / math.sqrt(2 / DRAWS)


def sampling_overlap(_: Method) -> float:
    """error of how many examples a batch shares with the next (N q^2; shuffling shares none), in standard errors"""
    batches = _batches(200, 0.1)
    shared = sum(int(torch.isin(one, two).sum()) for one, two in zip(batches[::2], batches[1::2], strict=True))
    return abs(shared - DRAWS / 2 * 200 * 0.1**2) / math.sqrt(DRAWS / 2 * 200 * 0.1**2 * (1 - 0.1**2))


def sampling_empty(_: Method) -> float:
    """error of how often a batch of 0.4 expected examples is empty, in standard errors"""
    rate = (1 - 0.02) ** 20
    empty = sum(len(batch) == 0 for batch in _batches(20, 0.02))
    return abs(empty - DRAWS * rate) / math.sqrt(DRAWS * rate * (1 - rate))
