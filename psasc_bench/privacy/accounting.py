"""What a schedule has spent: the only module that knows an accountant.

The mechanism accounted for is the Poisson-subsampled Gaussian mechanism under the add/remove-one relation: by Opacus'
RDP accountant (Mironov et al. 2019, arXiv 1908.10530) and, independently, by dp-accounting's privacy loss distributions
(PLD), which are tighter. Both give upper bounds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Opacus' default orders stop at 63 and cannot certify small epsilons
RDP_ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(11, 64)] + [*range(64, 256, 8), *range(256, 1025, 64)]
# How much of delta the Fourier transforms of dp-accounting's PLD may make or lose: tails cut off are below 1e-15, and
# roundings of 1e6 points in double precision below 1e-11.
LOST = 1e-10


def epsilon_by_rdp(noise_multiplier: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by Opacus' RDP accountant with orders up to 1024."""
    with _needing("opacus"):
        from opacus.accountants.analysis import rdp

    spent = rdp.compute_rdp(q=sampling_rate, noise_multiplier=noise_multiplier, steps=steps, orders=RDP_ORDERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the first or the last: there are no others
        return float(rdp.get_privacy_spent(orders=RDP_ORDERS, rdp=spent, delta=delta)[0])


def least_epsilon_by_rdp(delta: float) -> float:
    """What its orders certify at ``delta`` for a mechanism that releases nothing."""
    orders = np.array(RDP_ORDERS)
    return float((np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)).min())


def epsilon_by_pld(
    noise_multiplier: float, *, sampling_rate: float, steps: int, delta: float, interval: float = 1e-4
) -> float:
    """Epsilon spent, by dp-accounting's privacy loss distributions; infinite where they cannot say, which is for
    deltas below about 1e-14 and noise multipliers below about 1e-4."""
    try:
        losses = LossDistribution(noise_multiplier, sampling_rate=sampling_rate, steps=steps, interval=interval)
        return losses.epsilon(delta)
    except OverflowError:
        return math.inf


@contextmanager
def _needing(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package.replace("-", "_"):
            raise
        message = f"epsilon needs {package}, which is not installed: pip install 'psasc-bench[privacy]'"
        raise ModuleNotFoundError(message, name=error.name) from None


def loss_interval(epsilon: float) -> float:
    """The interval at which to discretise the losses of a mechanism of about this epsilon: 1e-4 from epsilon 1 to 8,
    in proportion to it below, where that would be too coarse, and above, where it would take too long."""
    return 1e-4 * (epsilon if epsilon < 1 else max(1.0, epsilon / 8))


class LossDistribution:
    """The privacy loss of ``steps`` releases by dp-accounting's PLD, discretised at ``interval`` and rounded up, so
    that all it says are upper bounds; or rounded down, for lower ones."""

    def __init__(
        self,
        noise_multiplier: float,
        *,
        sampling_rate: float,
        steps: int,
        interval: float = 1e-3,
        rounded: Literal["up", "down"] = "up",
    ) -> None:
        with _needing("dp-accounting"):
            from dp_accounting.pld import privacy_loss_distribution as pld

        one = pld.from_gaussian_mechanism(  # of adding or removing one example, which is the default
            noise_multiplier,
            sampling_prob=sampling_rate,
            value_discretization_interval=interval,
            pessimistic_estimate=rounded == "up",
            use_connect_dots=rounded == "up",
        )
        self._pld = one.self_compose(steps)

    def epsilon(self, delta: float) -> float:
        """Epsilon at ``delta``."""
        return float(self._pld.get_epsilon_for_delta(delta))

    def deltas(self, epsilons: NDArray[np.float64]) -> NDArray[np.float64]:
        """Delta at each of ``epsilons [n]``, ascending."""
        return np.array(self._pld.get_delta_for_epsilon(epsilons))
