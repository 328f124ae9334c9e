"""What a sample of differences, paired by seed, lets one say: which sign, how large, how sure, what it could see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
MARGIN = 0.002  # .2 points of accuracy, about half of what the literature reports as a gain
# A spread below this is the rounding of equal numbers: accuracies are multiples of one over the number of test images.
RESOLUTION = 1e-9


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A sample of ``n`` paired differences: their ``mean``, its 95 % t-interval (``low``, ``high``) and 90 % one
    (``low_90``, ``high_90``, that of the tests of a tie), their ``sd`` and how many of them are 0 (``identical``).

    Of the mean ``delta`` in the population, by one-sample t-tests: ``p`` of ``delta = 0``, two-sided; ``tie_p`` of
    ``|delta| >= margin``, two one-sided tests (Schuirmann, 1987); ``beyond_p`` of ``|delta| <= margin``, twice the
    smaller of two one-sided ones; ``gain_p`` of ``delta >= margin``, one-sided. NaN is what cannot be known: everything
    without a pair, all but the mean from one, and the tests where all differences are equal, which a t-test would take
    for certainty.
    """

    n: int
    mean: float
    low: float
    high: float
    low_90: float
    high_90: float
    sd: float
    identical: int
    p: float
    tie_p: float
    beyond_p: float
    gain_p: float


def paired_difference(differences: ArrayLike, *, margin: float = MARGIN) -> PairedDifference:
    """What can be said of the mean of ``differences [n]``; without a ``margin``, NaN, only its sign."""
    values = np.asarray(differences, dtype=float)
    mean, low, high = t_interval(values)
    _, low_90, high_90 = t_interval(values, confidence=1 - 2 * ALPHA)
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    p = tie_p = beyond_p = gain_p = math.nan
    if sd > RESOLUTION:
        error = sd / math.sqrt(len(values))

        def tail(distance: float) -> float:
            """One-sided p of a mean this far from a bound; the libraries' tests take a hundred times as long."""
            return float(special.stdtr(len(values) - 1, -distance / error))

        p = 2 * tail(abs(mean))
        tie_p = tail(margin - abs(mean))
        beyond_p = float(np.minimum(1, 2 * tail(abs(mean) - margin)))
        gain_p = tail(margin - mean)
    return PairedDifference(
        n=len(values),
        mean=mean,
        low=low,
        high=high,
        low_90=low_90,
        high_90=high_90,
        sd=sd,
        identical=int((np.abs(values) <= RESOLUTION).sum()),
        p=p,
        tie_p=tie_p,
        beyond_p=beyond_p,
        gain_p=gain_p,
    )


def t_interval(values: NDArray[np.floating], *, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Mean, lower and upper end of the t-interval, ``mean +- t_{n-1} s / sqrt(n)``; NaN where there are too few values:
    one has no interval, none has no mean."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if n == 1:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def welch_interval(
    mean: float, half_width: float, n: int, other: float, other_half_width: float, other_n: int
) -> tuple[float, float]:
    """The 95 % interval of ``mean - other``, means of two samples that share nothing, from the half-widths of their
    95 % t-intervals (Welch, 1947): ``+- t_nu sqrt(a + b)``, ``a`` and ``b`` the squared standard errors and
    ``nu = (a + b)^2 / (a^2/(n - 1) + b^2/(other_n - 1))``. NaN where either has no interval."""
    if not (n > 1 and other_n > 1) or math.isnan(half_width + other_half_width):
        return math.nan, math.nan
    half_widths = ((half_width, n), (other_half_width, other_n))
    a, b = ((half / stats.t.ppf((1 + CONFIDENCE) / 2, size - 1)) ** 2 for half, size in half_widths)
    if a + b == 0:
        return mean - other, mean - other
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (other_n - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * math.sqrt(a + b))
    return mean - other - half, mean - other + half


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """The p-values of a family of tests, corrected for its size ``m``: the ``k``-th smallest times ``m + 1 - k``, but
    no less than the one before and no more than 1 (Holm, 1979).

    NaN stays NaN and counts as a member: a test that cannot be made yet makes no other more significant.
    """
    # not statsmodels' multipletests: it collects garbage at every call, which takes as long as a hundred of these
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1)
    return corrected


def power(n: int, effect_size: float, *, alpha: float = ALPHA) -> float:
    """The probability that the two-sided t-test of ``n`` differences, whose mean is ``effect_size`` standard
    deviations, is significant at ``alpha``: ``P(|T| > t)`` for a noncentral t, or ``P(T^2 > t^2)`` for a noncentral
    F."""
    if effect_size == 0:
        return alpha
    # not statsmodels' TTestPower: a noncentral t, which in scipy has gaps of NaN at large effects
    critical = stats.t.ppf(1 - alpha / 2, n - 1)
    return float(stats.ncf.sf(critical**2, 1, n - 1, n * effect_size**2))


def detectable_difference(n: int, sd: float, *, alpha: float = ALPHA) -> float:
    """The least mean difference that the t-test of ``n`` differences of this ``sd`` shows with power .8 at ``alpha``.
    NaN for fewer than two, and if ``sd`` is unknown or 0."""
    if n < 2 or not sd > RESOLUTION:
        return math.nan
    # an effect of this many standard errors: what a known sd would take, and four times what the quantile of t adds
    enough = 4 * (stats.t.ppf(1 - alpha / 2, n - 1) + stats.t.ppf(POWER, n - 1)) / math.sqrt(n)
    root = optimize.brentq(lambda effect: power(n, effect, alpha=alpha) - POWER, 1e-9, enough)
    return float(root * sd)


def seeds_needed(effect: float, sd: float, *, alpha: float = ALPHA) -> float:
    """The least number of seeds that shows a mean difference of ``effect`` with power .8 at ``alpha``, if the standard
    deviation of the differences is ``sd``. NaN if ``sd`` is unknown or 0."""
    if not sd > RESOLUTION:
        return math.nan
    # Not statsmodels' solve_power: for effects of more than 5 standard deviations it finds none, or one too few.
    # What a known standard deviation would take, which estimating it can only add to.
    known = ((stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(POWER)) * sd / effect) ** 2
    n = max(2, math.floor(known))
    while power(n, effect / sd, alpha=alpha) < POWER:
        n += 1
    return n


def signed(value: float, digits: int = 2) -> str:
    """With its sign even where it is rounded to zero, for an interval that ends there is on one side."""
    return f"{round(value, 9) + 0.0:+.{digits}f}"


def p_text(p: float) -> str:
    """A p-value as it is printed."""
    return "-" if np.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}"
