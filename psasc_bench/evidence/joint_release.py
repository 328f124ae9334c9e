"""What an adaptive method releases beside the weighted sum, and what it makes of it: figures for the ``battery``.

A figure's docstring begins with what the battery prints beside it.

**Why the statistic costs no more than the budget.** Given what was released before, both releases of a step are fixed
functions of the batch. Divide each by its noise's standard deviation, and they are one Gaussian vector of unit noise;
an example that is drawn moves it by ``sqrt(1/s1^2 + 1/s2^2) = 1/noise_multiplier`` at most, in L2 norm, and one that is
not drawn by nothing. So the step is one Poisson-subsampled Gaussian mechanism of the budget's ``noise_multiplier``; and
as the next step's settings are functions of what was released, adaptive composition gives the whole run. QED. The
premises are checked one by one: the sensitivity of either release at every setting on the way (*statistic supremum*,
*supremum on the way*), that of the statistic of training (*statistic neighbours*), that an example's values are its own
(*own statistic*), the two noises (*joint noise*), and that settings depend on nothing but releases (*state*).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

from psasc_bench.evidence.contributions import hostile_vectors
from psasc_bench.evidence.noise_and_sampling import EXPECTED_BATCH_SIZE, NOISE_MULTIPLIER, gradient_multiplier
from psasc_bench.evidence.weights import COMPANY, NORMS, SIZES, alike, landmarks, own_weights
from psasc_bench.evidence.worst_cases import diracs, one_step, vectors
from psasc_bench.methods import Adaptive, Method, state_of

M = TypeVar("M", bound=Method)

MANY = torch.cat([torch.zeros(1), torch.logspace(-30, 19, 200_001, dtype=torch.float64)])
SHARE = 16  # of the batches' sizes, all of which are tried at one setting or another, one in so many at each
SUBNORMAL = 1e-15  # sensitivity below which float32 has too few digits for weights of norms up to 1e19
RELEASES = (0.0, 0.1, -0.1, 1.0, -1.0, 10.0, -10.0)  # of every component: from none to impossible ones
WAY = (1, 2, 5, 10, 20, 40)  # steps after which settings on the way are looked at
DRAWS, COORDINATES = 3000, 200  # of the sum's noise, of which a share of 1 % is then ten standard errors


def _values(method: Adaptive, norms: Tensor) -> Tensor:
    """The statistic's values, once they have the form that they should."""
    given = norms.clone()
    values = method.statistic(given)
    formed = values.dim() == 2 and values.shape[1] > 0 and alike(values[:, :0], norms[:, None][:, :0])
    if not (formed and torch.equal(given, norms)):
        raise TypeError(
            f"of norms {list(norms.shape)} of {norms.dtype} the statistic's values are {list(values.shape)}, "
            f"{values.dtype}; they must be [B, m], m from 1, of the same dtype and device, and leave the norms alone"
        )
    return values


def _releases(method: Adaptive) -> list[Tensor]:
    """Statistics ``[m]`` that may be released, likely or not."""
    size, generator = _values(method, NORMS).shape[1], torch.Generator().manual_seed(8)
    return [torch.full((size,), value) for value in RELEASES] + [torch.randn(size, generator=generator)]


def on_the_way(method: M) -> Iterator[M]:
    """The method, and if its settings move, at those that releases lead to, early and late, each once; until one would
    be none: training ends there, too."""
    seen = [method]
    for released in _releases(method) if isinstance(method, Adaptive) else ():
        now = method
        try:
            for step in range(1, WAY[-1] + 1):
                now = cast(M, cast(Adaptive, now).advance(released.clone()))
                seen += [now] if step in WAY else []
        except ValueError:
            seen.append(now)  # the last one
    for number, one in enumerate(seen):
        if one not in seen[:number]:
            yield one


def statistic_supremum(method: Adaptive) -> float:
    """sup ||statistic(x)|| / its sensitivity; norms 0 and 1e-30 to 1e19, at first and at settings on the way"""
    return max(_supremum(now, dtype) for now in on_the_way(method) for dtype in (torch.float32, torch.float64))


def _supremum(method: Adaptive, dtype: torch.dtype) -> float:
    bound = method.statistic_sensitivity()
    if not 0 < bound < math.inf:
        return math.inf
    values = _values(method, torch.cat([MANY.to(dtype), landmarks(method, dtype)]))
    return float(values.norm(dim=1).max().nan_to_num(nan=math.inf)) / bound


def way_supremum(method: Adaptive) -> float:
    """sup x |w(x)| / sensitivity; the same norms, at settings on the way"""
    worst = 0.0
    for now in on_the_way(method):
        bound = now.sensitivity()
        dtype = torch.float32 if bound > SUBNORMAL else torch.float64
        norms = torch.cat([MANY.to(dtype), landmarks(now, dtype)])
        contributions = (norms * now.weight(norms)).abs()
        worst = max(worst, float(contributions.max().nan_to_num(nan=math.inf)) / bound if bound > 0 else math.inf)
    return worst


def way_own_weights(method: Adaptive) -> float:
    """as own weights, at settings on the way"""
    return max(own_weights(now, SIZES[number % SHARE :: SHARE]) for number, now in enumerate(on_the_way(method)))


def own_statistic(method: Adaptive) -> float:
    """largest change of an example's values with the others, their number or order / sensitivity of the statistic; at
    first and at settings on the way"""
    return max(_own_statistic(now) for now in on_the_way(method))


def _own_statistic(method: Adaptive) -> float:
    worst, bound = 0.0, method.statistic_sensitivity()
    for dtype in (torch.float32, torch.float64):
        norms = NORMS.to(dtype)
        alone = torch.cat([_values(method, norm[None]) for norm in norms])
        order = torch.randperm(len(norms), generator=torch.Generator().manual_seed(9))
        worst = max(worst, float((_values(method, norms[order]) - alone[order]).norm(dim=1).max()))
        for other in COMPANY:
            for count in (1, 3, 300, 5000):
                together = _values(method, torch.cat([norms, norms.new_full((count,), other)]))[: len(norms)]
                worst = max(worst, float((together - alone).norm(dim=1).max()))
    return worst / bound


def statistic_neighbours(method: Adaptive) -> float:
    """how far one example, put in or left out, moves the released statistic / sensitivity; not at all if not finite"""
    hostile = hostile_vectors(method, torch.float64, torch.Generator().manual_seed(10))
    bad = torch.full((1, hostile.shape[1]), math.nan, dtype=hostile.dtype)
    problem, worst = vectors(torch.cat([hostile, bad])), 0.0

    def released(batch: Tensor) -> Tensor:
        generator = torch.Generator()
        step = one_step(
            problem, method, batch, noise_multiplier=0.0, expected_batch_size=EXPECTED_BATCH_SIZE, generator=generator
        )
        return step.statistic * EXPECTED_BATCH_SIZE

    ordinary = torch.arange(4)
    for i in range(4, len(hostile) + 1):
        moved = float((released(torch.cat([ordinary, torch.tensor([i])])) - released(ordinary)).norm())
        finite = i < len(hostile)
        worst = max(worst, moved / method.statistic_sensitivity() if finite or moved == 0 else math.inf)
    return worst


def state(method: Adaptive) -> float:
    """settings that differ after equal releases, with what was weighed before; and such as move but are no state, or
    are no numbers; at first and at settings on the way; infinite if no release leads to any"""
    wrong = [_state(replace(now), first=number == 0) for number, now in enumerate(on_the_way(method))]
    return sum(wrong)


def _state(method: Adaptive, *, first: bool) -> float:
    wrong, led, kept = 0, False, [field.name for field in fields(method) if field.name not in method.state]
    releases = _releases(method)
    for released in releases if first else releases[3:5]:
        try:
            after = replace(method).advance(released.clone())
        except ValueError:  # a setting that would be none
            continue
        led = True
        wrong += type(after) is not type(method)
        wrong += not all(isinstance(value, int | float) for value in state_of(after).values())
        wrong += any(getattr(after, key, None) != getattr(method, key) for key in kept)
        for norm in COMPANY:
            norms = torch.full((3,), norm)
            method.weight(norms)
            method.statistic(norms)
            given = released.clone()
            wrong += method.advance(given) != after or not torch.equal(given, released)
    return float(wrong) if led or not first else math.inf


def steady_share(method: Adaptive) -> float:
    """largest relative change of the statistic's noise multiplier with the settings on the way"""
    first = method.statistic_multiplier(NOISE_MULTIPLIER, EXPECTED_BATCH_SIZE)
    others = [now.statistic_multiplier(NOISE_MULTIPLIER, EXPECTED_BATCH_SIZE) for now in on_the_way(method)]
    return max(abs(other / first - 1) for other in others)


def joint_noise(method: Adaptive) -> float:
    """error of sum's and statistic's noise, which jointly cost the budget, and their correlation, in standard errors"""
    generator, statistic_generator = (torch.Generator().manual_seed(seed) for seed in (11, 12))
    problem, batches = diracs(torch.ones(2), parameters=COORDINATES), (torch.arange(0), torch.arange(2))
    sums = [problem.gradient_sum(method, batch, micro_batch_size=2).total for batch in batches]
    counts = [method.statistic(torch.ones(len(batch))).sum(0) for batch in batches]
    gradients, statistics = [], []
    for draw in range(DRAWS):
        released = one_step(
            problem,
            method,
            batches[draw % 2],
            noise_multiplier=NOISE_MULTIPLIER,
            expected_batch_size=EXPECTED_BATCH_SIZE,
            generator=generator,
            statistic_generator=statistic_generator,
        )
        gradients.append(released.gradient - sums[draw % 2] / EXPECTED_BATCH_SIZE)
        statistics.append(released.statistic - counts[draw % 2] / EXPECTED_BATCH_SIZE)
    s1, s2 = gradient_multiplier(method), method.statistic_multiplier(NOISE_MULTIPLIER, EXPECTED_BATCH_SIZE)
    gradient = torch.stack(gradients).double() * EXPECTED_BATCH_SIZE / (s1 * method.sensitivity())
    statistic = torch.stack(statistics).double() * EXPECTED_BATCH_SIZE / (s2 * method.statistic_sensitivity())
    together = (gradient[:, 0] @ statistic).abs().max() / math.sqrt(DRAWS)
    return max(_excess(gradient), _excess(statistic), float(together))


def _excess(noise: Tensor) -> float:
    """By how many standard errors the root mean square of noise of a due deviation of 1 is off."""
    return abs(float(noise.square().mean().sqrt()) - 1) * math.sqrt(2 * noise.numel())
