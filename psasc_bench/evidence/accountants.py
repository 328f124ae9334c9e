"""What a schedule has spent, by accountants that took no part in calibrating it: bounds from above and from below.

The mechanism is the Poisson-subsampled Gaussian under the add/remove-one relation, ``steps`` releases with noise of
``noise_multiplier`` times the sensitivity, each example drawn with probability ``sampling_rate``. Without noise epsilon
is infinite; no release costs 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps

import numpy as np
from scipy import special

from psasc_bench.privacy import LOST, RDP_ORDERS, LossDistribution, epsilon_by_pld

Spent = Callable[..., float]

MOST_POINTS = 400_000  # of a quadrature; orders that need more are far from the best
LEAST_NOISE = 1 / 64
MOST_LOSSES = 3e7  # that a PLD may have: they fill a gigabyte


def _accountant(spent: Spent) -> Spent:
    @cache
    @wraps(spent)
    def epsilon(noise_multiplier: float, sampling_rate: float, steps: int, delta: float, **how: float) -> float:
        if steps == 0 or noise_multiplier == 0:
            return math.inf if steps else 0.0
        return spent(noise_multiplier, sampling_rate, steps, delta, **how)

    return epsilon


@_accountant
def epsilon_by_quadrature(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent by Rényi DP of Opacus' orders, whose divergences are integrated from their definition, ``log E_{z ~
    N(0, sigma^2)} (1 - q + q exp((2 z - 1) / (2 sigma^2)))^a / (a - 1)`` (Mironov et al. 2019, arXiv 1908.10530), and
    converted as in Balle et al. 2020, arXiv 1905.09982. An upper bound, and what Opacus must say to nine digits."""
    orders = np.array(RDP_ORDERS)
    moments = np.array([_log_moment(noise_multiplier, sampling_rate, order) for order in orders])
    divergences = steps * moments / (orders - 1)
    epsilons = divergences + np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1)
    return float(epsilons.min())


def _log_moment(sigma: float, q: float, order: float) -> float:
    """By the trapezoidal rule, which is exact to rounding on steps this small beside the width of a Gaussian, and
    beside the distance ``pi sigma`` of the next pole."""
    drawn = order * (math.log(q) + (order - 1) / (2 * sigma**2))  # the moment, were there no other summand
    if q == 1:
        return drawn
    if sigma < LEAST_NOISE:  # the summands' Gaussians are 30 standard deviations apart, and do not mix
        return float(np.logaddexp(order * math.log1p(-q), drawn))
    step = 0.5 * min(1.0, sigma)
    points = int((order / sigma + 24) / step)
    if points > MOST_POINTS:
        return math.inf
    z = step * np.arange(points) - 12
    ratio = np.logaddexp(math.log1p(-q), math.log(q) + z / sigma - 0.5 / sigma**2)
    return float(special.logsumexp(order * ratio - z**2 / 2)) + math.log(step / math.sqrt(2 * math.pi))


@_accountant
def epsilon_by_dp_accounting(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by dp-accounting's RDP accountant with Opacus' orders and its own: an upper bound. It does without
    the orders whose series does not converge for it, below about 2: at large epsilons it is up to a third looser."""
    from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant, rdp_privacy_accountant

    orders = sorted({*RDP_ORDERS, *rdp_privacy_accountant.DEFAULT_RDP_ORDERS})
    accountant = RdpAccountant(orders, neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    with _quiet():
        accountant.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier)), steps)
        return float(accountant.get_epsilon(delta))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning for every order that the accountant does better without: epsilon is the least over the rest."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


@_accountant
def epsilon_at_most(
    noise_multiplier: float, sampling_rate: float, steps: int, delta: float, *, interval: float, lost: float = LOST
) -> float:
    """Epsilon spent, by dp-accounting's PLD discretised at ``interval`` and rounded up: an upper bound, whatever of
    delta the computation has ``lost``, infinite where delta is too small for it, or the noise."""
    delta -= lost
    if not (delta > 0 and _tractable(noise_multiplier, interval)):
        return math.inf
    return epsilon_by_pld(noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=delta, interval=interval)


@_accountant
def epsilon_at_least(
    noise_multiplier: float, sampling_rate: float, steps: int, delta: float, *, interval: float
) -> float:
    """A lower bound on the epsilon spent, by dp-accounting's PLD rounded down: what this schedule cannot have kept
    below, whoever does the accounts. It is ``steps * interval / 2`` looser than the upper bound, and 0 where the noise
    is too small for it."""
    if not _tractable(noise_multiplier, interval):
        return 0.0
    losses = LossDistribution(
        noise_multiplier, sampling_rate=sampling_rate, steps=steps, interval=interval, rounded="down"
    )
    return losses.epsilon(delta + LOST)


@_accountant
def epsilon_at_least_by_prv(
    noise_multiplier: float, sampling_rate: float, steps: int, delta: float, *, error: float
) -> float:
    """A lower bound on the epsilon spent that owes nothing to dp-accounting: by Opacus' privacy loss random variables
    (Gopi et al. 2021, arXiv 2106.02848), which are right to ``error`` in epsilon and a thousandth of delta. 0 where
    they cannot say."""
    from opacus.accountants import PRVAccountant

    accountant, lost = PRVAccountant(), delta / 1000
    accountant.history = [(noise_multiplier, sampling_rate, steps)]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of the orders of RDP by which it chooses its grid
            above = float(accountant.get_epsilon(delta + 2 * lost, eps_error=error, delta_error=lost))
    except (ValueError, RuntimeError, MemoryError, OverflowError):
        return 0.0
    return max(0.0, above - 2 * error)


def _tractable(noise_multiplier: float, interval: float) -> bool:
    """Whether the losses of one release, from 0 to that of ten standard deviations, are few enough."""
    return (0.5 / noise_multiplier + 10) / noise_multiplier / interval < MOST_LOSSES
