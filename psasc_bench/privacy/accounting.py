"""How much noise a budget needs, and what a schedule has spent: the only module that knows an accountant.

The mechanism accounted for is the Poisson-subsampled Gaussian mechanism under the add/remove-one relation. The noise
multiplier is calibrated with Opacus' RDP accountant (Mironov et al. 2019, arXiv 1908.10530); the epsilon spent is
reported by it and, independently, by dp-accounting's privacy loss distributions (PLD), which are tighter.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psasc_bench.files import json_number

RELATION = "add or remove one example"
# Opacus' default orders stop at 63 and cannot certify small epsilons
RDP_ORDERS = [1 + x / 10 for x in range(1, 100)] + [*range(11, 64)] + [*range(64, 256, 8), *range(256, 1025, 64)]


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

    def spent(accountant: Callable[..., float]) -> float:
        if noise_multiplier == 0:
            return math.inf
        return accountant(noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=delta)

    return Budget(
        epsilon=epsilon,
        delta=delta,
        sampling_rate=sampling_rate,
        steps=steps,
        noise_multiplier=noise_multiplier,
        epsilon_rdp=spent(epsilon_by_rdp),
        epsilon_pld=spent(epsilon_by_pld),
    )


def _noise_multiplier(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    if math.isinf(epsilon):
        return 0.0
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the search passes noise multipliers for which the orders are too few
            return float(
                get_noise_multiplier(
                    target_epsilon=epsilon,
                    target_delta=delta,
                    sample_rate=sampling_rate,
                    steps=steps,
                    accountant="rdp",
                    epsilon_tolerance=1e-3 * epsilon,
                    alphas=RDP_ORDERS,
                )
            )
    except ValueError:
        raise ValueError(
            f"epsilon {epsilon:g} is out of reach at delta {delta:g} (no noise multiplier gives it by RDP); "
            "ask for a larger epsilon or delta"
        ) from None


def epsilon_by_rdp(noise_multiplier: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by Opacus' RDP accountant with orders up to 1024."""
    from opacus.accountants.analysis import rdp

    spent = rdp.compute_rdp(q=sampling_rate, noise_multiplier=noise_multiplier, steps=steps, orders=RDP_ORDERS)
    return float(rdp.get_privacy_spent(orders=RDP_ORDERS, rdp=spent, delta=delta)[0])


def epsilon_by_pld(noise_multiplier: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by dp-accounting's privacy loss distributions."""
    return LossDistribution(noise_multiplier, sampling_rate=sampling_rate, steps=steps, interval=1e-4).epsilon(delta)


class LossDistribution:
    """The privacy loss of ``steps`` releases by dp-accounting's PLD, discretised at ``interval`` and rounded up, so
    that all it says are upper bounds."""

    def __init__(self, noise_multiplier: float, *, sampling_rate: float, steps: int, interval: float = 1e-3) -> None:
        from dp_accounting.pld import privacy_loss_distribution as pld

        one = pld.from_gaussian_mechanism(  # of adding or removing one example, which is the default
            noise_multiplier, sampling_prob=sampling_rate, value_discretization_interval=interval
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
