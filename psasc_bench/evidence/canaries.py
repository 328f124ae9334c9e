"""Canaries: examples whose gradients an attacker has chosen, and what the training step lets out of them.

A canary's gradient has a coordinate of its own, the norm at which an example contributes most, and changes its sign
from step to step: an attacker may choose any gradient at any step, and alternating signs show noise that does not
average out. Coordinates are noised independently and examples drawn independently, so that one run of the training step
over ``2 n`` canaries, half of them left out, is ``n`` independent trials with a canary in and ``n`` with it out.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from psasc_bench.evidence.bounds import Floats
from psasc_bench.evidence.worst_cases import diracs, one_step
from psasc_bench.methods import SMALLEST, Adaptive, Method
from psasc_bench.privacy import poisson_batch
from psasc_bench.training import release_statistic

STATISTIC_BATCH = 256.0  # the expected batch size of training, on which a statistic's share of the noise may depend
CANARY_NORM = 1e15  # x w(x) has reached its supremum there, if it rises to it
# among which there may be a better one; float32 holds the squares of all
NORMS = torch.cat([torch.zeros(1), torch.logspace(-12, 18, 300_001)])
WORTH_IT = 1.001  # how much better it must be: by less is rounding


def observe(
    method: Method,
    included: NDArray[np.bool_],
    *,
    noise_multiplier: float,
    sampling_rate: float,
    steps: int,
    seed: int,
) -> Floats:
    """Run ``steps`` of training on canaries, of which those ``included [m]`` are in the data, and return ``[m,
    steps]``: what was released of every canary, signs undone, in units of the sensitivity. Of a method that keeps to
    its sensitivity this is ``B + noise_multiplier N(0, 1)``, with ``|B| <= 1`` if the canary was drawn and else 0.
    Raises ``ValueError`` for a method of unbounded sensitivity.

    What is released is the sum in the canary's coordinate and, of an adaptive method, the statistic of a batch in which
    the canary is alone. The two, in units of their sensitivities and with noise multipliers ``s1`` and ``s2``, weigh
    ``1/s1^2`` and ``1/s2^2``: if both move by 1, this mean does, with noise of the ``noise_multiplier``. All steps are
    taken at the first settings, for an accountant trusts every step alike.
    """
    if not math.isfinite(method.sensitivity()):
        raise ValueError(
            f"{method.title} has unbounded sensitivity: it claims no privacy, so there is nothing to audit"
        )
    canaries = len(included)
    expected_batch_size = STATISTIC_BATCH if isinstance(method, Adaptive) else sampling_rate * canaries
    share = _share(method, noise_multiplier)
    norm = strongest_norm(method, statistic_share=share)
    # a zero gradient adds what an absent example adds
    norms = norm * torch.from_numpy(included).float()
    problem = diracs(norms, parameters=canaries)
    draws, noise, statistic_noise = (torch.Generator().manual_seed(seed * 2 + stream) for stream in (0, 1, 1 << 32))
    observed = np.empty((canaries, steps))
    for step in range(steps):
        batch = poisson_batch(canaries, sampling_rate, draws)
        released = one_step(
            problem,
            method,
            batch,
            noise_multiplier=noise_multiplier,
            expected_batch_size=expected_batch_size,
            generator=noise,
        )
        sign = 1 - 2 * (step % 2)
        observed[:, step] = sign * released.gradient.double().numpy() * expected_batch_size / method.sensitivity()
        if isinstance(method, Adaptive):
            drawn = torch.zeros(canaries, 1).index_fill(0, batch, 1) * torch.from_numpy(included)[:, None]
            value = method.statistic(torch.tensor([norm]))
            statistics = release_statistic(
                drawn * value,
                method,
                noise_multiplier=noise_multiplier,
                expected_batch_size=expected_batch_size,
                generator=statistic_noise,
            )
            along = (statistics @ (value[0] / value.norm().clamp(min=SMALLEST))).double().numpy() * expected_batch_size
            observed[:, step] *= 1 - share
            observed[:, step] += share * along / method.statistic_sensitivity()
        norms.neg_()
    return observed


def _share(method: Method, noise_multiplier: float) -> float:
    """Of the step's ``1/noise_multiplier^2``, the statistic's ``1/s2^2``."""
    if not isinstance(method, Adaptive):
        return 0.0
    return (noise_multiplier / method.statistic_multiplier(noise_multiplier, STATISTIC_BATCH)) ** 2


def strongest_norm(method: Method, *, statistic_share: float = 0.0) -> float:
    """The norm at which an example contributes most, ``x |w(x)|`` and what its statistic adds to it, as far as 0 and a
    grid from 1e-12 to 1e18 show it, or one at which that is no number; 1e15 unless there is a better one. The method is
    known to the attacker, and no data are looked at: the choice costs the audit no confidence."""
    norms = torch.cat([torch.tensor([CANARY_NORM]), NORMS])
    contributions = (norms * method.weight(norms)).abs().nan_to_num(nan=math.inf)
    if isinstance(method, Adaptive):
        values = method.statistic(norms).norm(dim=1).nan_to_num(nan=math.inf) / method.statistic_sensitivity()
        contributions = (1 - statistic_share) * contributions / method.sensitivity() + statistic_share * values
    best = int(contributions.argmax())
    better = contributions[best] > WORTH_IT * contributions[0]
    return float(norms[best]) if better else CANARY_NORM
