"""What has been spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from psasc_bench.privacy import RELATION, epsilon_by_pld, epsilon_by_rdp, loss_interval


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What ``steps`` releases at ``noise_multiplier``, each of a Poisson batch of ``sampling_rate``, have cost at
    ``delta``: epsilon by Renyi differential privacy and, tighter, by privacy loss distributions. Both are upper bounds,
    so the smaller one holds."""

    steps: int
    sampling_rate: float
    noise_multiplier: float
    delta: float
    epsilon_rdp: float
    epsilon_pld: float
    relation: str = RELATION

    @property
    def epsilon(self) -> float:
        """The smaller bound."""
        return min(self.epsilon_rdp, self.epsilon_pld)


def spent(*, noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> Ledger:
    """The ledger of a schedule: epsilon is 0 before the first step, and infinite without noise.

    By the accountants of ``calibrate``: Opacus' RDP (Mironov et al. 2019, arXiv 1908.10530) and dp-accounting's PLD.
    Raises ``ValueError`` for a number that makes no sense, and ``ModuleNotFoundError`` where the accountants are not
    installed: ``pip install 'psasc-bench[privacy]'``.
    """
    if not (0 < sampling_rate <= 1 and 0 < delta < 1 and noise_multiplier >= 0 and steps >= 0):
        raise ValueError(
            f"sampling rate {sampling_rate:g}, delta {delta:g}, noise multiplier {noise_multiplier:g}, {steps} steps: "
            "the rate must be in (0, 1], delta between 0 and 1, the others 0 or above"
        )
    by_rdp = by_pld = 0.0 if steps == 0 else math.inf
    if steps and noise_multiplier:
        by_rdp = epsilon_by_rdp(noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=delta)
        by_pld = epsilon_by_pld(
            noise_multiplier,
            sampling_rate=sampling_rate,
            steps=steps,
            delta=delta,
            interval=loss_interval(by_rdp) if math.isfinite(by_rdp) else 1e-4,
        )
    return Ledger(
        steps=steps,
        sampling_rate=sampling_rate,
        noise_multiplier=noise_multiplier,
        delta=delta,
        epsilon_rdp=by_rdp,
        epsilon_pld=by_pld,
    )
