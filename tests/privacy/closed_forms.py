"""What is known of the Gaussian mechanism without sampling."""

from __future__ import annotations

import math

from scipy import optimize, stats


def gaussian_epsilon(noise_multiplier: float, *, steps: int, delta: float) -> float:
    """Of ``steps`` Gaussian mechanisms without sampling: the epsilon at which ``delta(epsilon) = Phi(mu/2 - epsilon/mu)
    - e^epsilon Phi(-mu/2 - epsilon/mu)`` with ``mu = sqrt(steps)/noise_multiplier`` (Balle & Wang 2018, theorem 8)."""
    mu = math.sqrt(steps) / noise_multiplier
    phi = stats.norm.cdf

    def excess(epsilon: float) -> float:
        return float(phi(mu / 2 - epsilon / mu) - math.exp(epsilon) * phi(-mu / 2 - epsilon / mu)) - delta

    return float(optimize.brentq(excess, 0, 100))
