"""How much noise a budget needs: the smallest noise multiplier with which an accountant certifies it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial

from psasc_bench.privacy.accounting import (
    LOST,
    RDP_ORDERS,
    epsilon_by_pld,
    epsilon_by_rdp,
    least_epsilon_by_rdp,
    loss_interval,
)
from psasc_bench.privacy.budget import Accountant, Budget

Spent = Callable[[float], float]  # epsilon, of a noise multiplier

TOLERANCE = 1e-3  # how much of epsilon may be left unspent
FIRST_NOISE, MOST_NOISE = 20.0, 1e6  # as Opacus searches
MOST_HALVINGS = 200  # where a float has no more digits
# PLD is searched twice: how much coarser than in the end losses are discretised, and by what factor a bracket widens.
SEARCHES = ((10, 1.05), (1, 1.01))


def calibrate(
    *, epsilon: float, delta: float, sampling_rate: float, steps: int, accountant: Accountant = "rdp"
) -> Budget:
    """The smallest noise multiplier (to 0.1 % of epsilon) with which ``steps`` releases at ``sampling_rate`` satisfy
    (epsilon, delta)-DP by the ``accountant``: none where epsilon is infinite, whoever that is. Raises ``ValueError``
    where no noise can, or a value makes no sense."""
    _check(epsilon=epsilon, delta=delta, sampling_rate=sampling_rate, steps=steps)
    by_rdp: Spent = cache(partial(epsilon_by_rdp, sampling_rate=sampling_rate, steps=steps, delta=delta))
    by_pld = partial(epsilon_by_pld, sampling_rate=sampling_rate, steps=steps)
    noise_multiplier, spent_rdp, spent_pld = 0.0, math.inf, math.inf
    if math.isfinite(epsilon):
        noise_multiplier = _noise_by_rdp(by_rdp, epsilon, delta, steps)
        if accountant == "pld":
            noise_multiplier = _noise_by_pld(by_pld, epsilon, delta, start=noise_multiplier)
        spent_rdp = by_rdp(noise_multiplier)
        spent_pld = by_pld(noise_multiplier, delta=delta, interval=loss_interval(epsilon))
    return Budget(
        epsilon=epsilon,
        delta=delta,
        sampling_rate=sampling_rate,
        steps=steps,
        noise_multiplier=noise_multiplier,
        epsilon_rdp=spent_rdp,
        epsilon_pld=spent_pld,
        accountant=accountant if noise_multiplier else "rdp",
    )


def _noise_by_rdp(spent: Spent, epsilon: float, delta: float, steps: int) -> float:
    """By the search of Opacus' ``get_noise_multiplier``, but that it ends where floats do."""
    enough = _enough(spent, epsilon, start=FIRST_NOISE, factor=2, most=MOST_NOISE)
    if not enough:
        why = f"noise multipliers end at {MOST_NOISE:g}, too little for {steps} steps"
        if epsilon <= (least := least_epsilon_by_rdp(delta)) * (1 + TOLERANCE):
            orders = f"with its orders up to {max(RDP_ORDERS):g}"
            why = f"{orders} RDP certifies none below {least:.3g}, however much the noise"
        raise ValueError(f"{_out_of_reach(epsilon, delta)}: {why}; ask for a larger epsilon or delta")
    return _least(spent, epsilon, low=0.0, high=enough, between=lambda low, high: (low + high) / 2)


def _noise_by_pld(spent_at: Callable[..., float], epsilon: float, delta: float, *, start: float) -> float:
    """Around ``start``, which is what RDP asks for: first with coarse losses, whose epsilon is an upper bound, too, and
    from there with fine ones, by false position. The last of delta that the computation may lose is never spent."""
    found: float | None = None
    for coarser, factor in SEARCHES if delta > LOST else ():
        interval = coarser * loss_interval(epsilon)
        spent: Spent = cache(partial(spent_at, delta=delta - LOST, interval=interval))
        found = _enough(spent, epsilon, start=start, factor=factor, most=2 * start)
        if found:
            low, high = found / factor, found
            while _unspent(spent, epsilon, high) and spent(low) <= epsilon:
                low, high = low / factor, low
            found = start = _least(spent, epsilon, low=low, high=high, between=partial(_on_a_line, spent, epsilon))
    if not found:
        raise ValueError(f"{_out_of_reach(epsilon, delta)} for PLD; ask for a larger delta, or take accountant rdp")
    return found


def _enough(spent: Spent, epsilon: float, *, start: float, factor: float, most: float) -> float | None:
    """The first of ``start``, ``start * factor`` and so on up to ``most`` that spends no more than ``epsilon``."""
    noise = start
    while noise <= most:
        if spent(noise) <= epsilon:
            return noise
        noise *= factor
    return None


def _least(spent: Spent, epsilon: float, *, low: float, high: float, between: Callable[[float, float], float]) -> float:
    """The smallest noise multiplier within ``epsilon``, between ``low``, which is not, and ``high``, which is; where
    ``between`` them to look next may be chosen freely."""
    for _ in range(MOST_HALVINGS):
        if not _unspent(spent, epsilon, high):
            break
        middle = between(low, high)
        low, high = (low, middle) if spent(middle) < epsilon else (middle, high)
    return high


def _unspent(spent: Spent, epsilon: float, noise_multiplier: float) -> bool:
    return epsilon - spent(noise_multiplier) > TOLERANCE * epsilon


def _on_a_line(spent: Spent, epsilon: float, low: float, high: float) -> float:
    """Where the chord through both ends has what is half the tolerance below ``epsilon``; halfway, if it has no slope
    that is a number."""
    most, least = spent(low), spent(high)
    share = (most - (1 - TOLERANCE / 2) * epsilon) / (most - least) if math.isfinite(most) else 0.5
    return low + share * (high - low)


def _out_of_reach(epsilon: float, delta: float) -> str:
    return f"epsilon {epsilon:g} is out of reach at delta {delta:g}"


def _check(*, epsilon: float, delta: float, sampling_rate: float, steps: int) -> None:
    if not epsilon > 0:
        raise ValueError(f"epsilon must be > 0, got {epsilon}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, got {delta}")
    if not 0 < sampling_rate <= 1:
        raise ValueError(f"the sampling rate (expected batch size / examples) must be in (0, 1], got {sampling_rate:g}")
    if not steps >= 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
