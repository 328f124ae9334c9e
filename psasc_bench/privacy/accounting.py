"""How much noise a budget needs, and what a schedule has spent: the only module that knows an accountant.

The mechanism accounted for is the Poisson-subsampled Gaussian mechanism under the add/remove-one relation. The noise
multiplier is calibrated with Opacus' RDP accountant (Mironov et al. 2019, arXiv 1908.10530); the epsilon spent is
reported by it and, independently, by dp-accounting's privacy loss distributions (PLD), which are tighter.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psasc_bench.files import json_number

RELATION = "add or remove one example"
# Opacus' default orders stop at 63 and cannot certify small epsilons
RDP_ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(11, 64)] + [*range(64, 256, 8), *range(256, 1025, 64)]
MOST_NOISE, MOST_HALVINGS = 1e6, 200  # Opacus' own limit; and where a float has no more digits


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one cell may spend and the noise that spends it. ``epsilon`` is the target, infinite without privacy;
    ``epsilon_rdp`` and ``epsilon_pld`` are what ``steps`` releases at ``noise_multiplier`` cost at ``delta``."""

    epsilon: float
    delta: float
    sampling_rate: float
    steps: int
    noise_multiplier: float
    epsilon_rdp: float
    epsilon_pld: float
    relation: str = RELATION

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; infinity is the string ``inf``."""
        return {key: json_number(value) if isinstance(value, float) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Budget:
        """The inverse of ``to_json``. Raises ``TypeError`` for missing or unknown keys."""
        numbers: dict[str, Any] = {key: math.inf if value == "inf" else value for key, value in values.items()}
        return cls(**numbers)


def calibrate(*, epsilon: float, delta: float, sampling_rate: float, steps: int) -> Budget:
    """The smallest noise multiplier (to 0.1 % of epsilon) with which ``steps`` releases at ``sampling_rate`` satisfy
    (epsilon, delta)-DP by RDP. Raises ``ValueError`` where no noise can, or a value makes no sense."""
    _check(epsilon=epsilon, delta=delta, sampling_rate=sampling_rate, steps=steps)
    noise_multiplier = _noise_multiplier(epsilon, delta, sampling_rate, steps)
    spent_rdp = spent_pld = math.inf
    if noise_multiplier > 0:
        schedule: dict[str, Any] = {"sampling_rate": sampling_rate, "steps": steps, "delta": delta}
        spent_rdp = epsilon_by_rdp(noise_multiplier, **schedule)
        spent_pld = epsilon_by_pld(noise_multiplier, **schedule, interval=loss_interval(epsilon))
    return Budget(
        epsilon=epsilon,
        delta=delta,
        sampling_rate=sampling_rate,
        steps=steps,
        noise_multiplier=noise_multiplier,
        epsilon_rdp=spent_rdp,
        epsilon_pld=spent_pld,
    )


def _noise_multiplier(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """By the search of Opacus' ``get_noise_multiplier``, halving by halving, but that it ends where floats do."""
    if math.isinf(epsilon):
        return 0.0
    low, high, spent = 0.0, 10.0, math.inf
    while spent > epsilon:
        high *= 2
        if high > MOST_NOISE:
            raise ValueError(_out_of_reach(epsilon, delta, steps))
        spent = epsilon_by_rdp(high, sampling_rate=sampling_rate, steps=steps, delta=delta)
    for _ in range(MOST_HALVINGS):
        if epsilon - spent <= 1e-3 * epsilon:
            break
        middle = (low + high) / 2
        spent_there = epsilon_by_rdp(middle, sampling_rate=sampling_rate, steps=steps, delta=delta)
        if spent_there < epsilon:
            high, spent = middle, spent_there
        else:
            low = middle
    return high


def _out_of_reach(epsilon: float, delta: float, steps: int) -> str:
    orders = np.array(RDP_ORDERS)
    least = float((np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)).min())  # of what releases nothing
    why = f"noise multipliers end at {MOST_NOISE:g}, too little for {steps} steps"
    if epsilon <= least * (1 + 1e-3):
        why = f"with its orders up to {orders.max():g} RDP certifies none below {least:.3g}, however much the noise"
    return f"epsilon {epsilon:g} is out of reach at delta {delta:g}: {why}; ask for a larger epsilon or delta"


def epsilon_by_rdp(noise_multiplier: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by Opacus' RDP accountant with orders up to 1024."""
    from opacus.accountants.analysis import rdp

    spent = rdp.compute_rdp(q=sampling_rate, noise_multiplier=noise_multiplier, steps=steps, orders=RDP_ORDERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the first or the last: there are no others
        return float(rdp.get_privacy_spent(orders=RDP_ORDERS, rdp=spent, delta=delta)[0])


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


def _check(*, epsilon: float, delta: float, sampling_rate: float, steps: int) -> None:
    if not epsilon > 0:
        raise ValueError(f"epsilon must be > 0, got {epsilon}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, got {delta}")
    if not 0 < sampling_rate <= 1:
        raise ValueError(f"the sampling rate (expected batch size / examples) must be in (0, 1], got {sampling_rate:g}")
    if not steps >= 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
