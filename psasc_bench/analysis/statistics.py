"""What a sample of differences, paired by seed, lets one say: how large, how sure, and how many seeds it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8
MARGIN = 0.002  # .2 points of accuracy, about half of what the literature reports as a gain
EFFECTS = (0.001, 0.003, 0.005)
# A spread below this is the rounding of equal numbers: accuracies are multiples of one over the number of test images.
RESOLUTION = 1e-9


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A sample of ``n`` paired differences, with the 95 % t-interval of their mean, from ``low`` to ``high``.

    ``effect_size`` is Cohen's d of paired samples, ``mean/sd``; ``p`` of the two-sided paired t-test of no difference;
    ``tie_p`` of two one-sided t-tests (Schuirmann, 1987) of a difference of at least the margin. NaN is what cannot be
    known: everything without a pair, all but the mean from one pair, and the tests where all differences are equal,
    which a t-test would take for certainty.
    """

    n: int
    mean: float
    low: float
    high: float
    sd: float
    effect_size: float
    p: float
    tie_p: float

    def verdict(self, p_holm: float) -> str:
        """``better`` or ``worse`` by the corrected p-value, else ``tie shown`` by ``tie_p``, else ``inconclusive``."""
        if p_holm < ALPHA:
            return "better" if self.mean > 0 else "worse"
        return "tie shown" if self.tie_p < ALPHA else "inconclusive"


def paired_difference(differences: ArrayLike, *, margin: float = MARGIN) -> PairedDifference:
    """What can be said of the mean of ``differences``; a ``tie`` is a mean closer to 0 than ``margin``."""
    values = np.asarray(differences, dtype=float)
    mean, low, high = t_interval(values)
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    effect_size = p = tie_p = math.nan
    if sd > RESOLUTION:
        effect_size = mean / sd
        p = float(stats.ttest_1samp(values, 0).pvalue)
        # not statsmodels' ttost_mean: it sums by BLAS, so the last bits in our tables would depend on the processor
        above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(values, margin, alternative="less").pvalue
        tie_p = float(max(above, below))
    return PairedDifference(
        n=len(values), mean=mean, low=low, high=high, sd=sd, effect_size=effect_size, p=p, tie_p=tie_p
    )


def t_interval(values: NDArray[np.floating]) -> tuple[float, float, float]:
    """Mean, lower and upper end of the 95 % t-interval, ``mean +- t_{n-1} s / sqrt(n)``; NaN where there are too few
    values: one has no interval, none has no mean."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if n == 1:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """The p-values of a family of tests, corrected for its size ``m``: the ``k``-th smallest times ``m + 1 - k``, but
    no less than the one before and no more than 1 (Holm, 1979).

    NaN stays NaN and counts as a member: runs that are still missing make no comparison more significant.
    """
    corrected: NDArray[np.float64] = multipletests(np.asarray(p_values, dtype=float), method="holm")[1]
    return corrected


def power(n: int, effect_size: float) -> float:
    """The probability that the two-sided t-test of ``n`` differences, whose mean is ``effect_size`` standard
    deviations, is significant: ``P(|T| > t)`` for a noncentral t, or ``P(T^2 > t^2)`` for a noncentral F."""
    if effect_size == 0:
        return ALPHA
    # not statsmodels' TTestPower: a noncentral t, which in scipy has gaps of NaN at large effects
    critical = stats.t.ppf(1 - ALPHA / 2, n - 1)
    return float(stats.ncf.sf(critical**2, 1, n - 1, n * effect_size**2))


def seeds_needed(effect: float, sd: float) -> float:
    """The least number of seeds that shows a mean difference of ``effect`` with power .8, if the standard deviation of
    the differences is ``sd``; before any correction for several comparisons. NaN if ``sd`` is unknown or 0."""
    if not sd > RESOLUTION:
        return math.nan
    # Not statsmodels' solve_power: for effects of more than 5 standard deviations it finds none, or one too few.
    # What a known standard deviation would take, which estimating it can only add to.
    known = ((stats.norm.ppf(1 - ALPHA / 2) + stats.norm.ppf(POWER)) * sd / effect) ** 2
    n = max(2, math.floor(known))
    while power(n, effect / sd) < POWER:
        n += 1
    return n


def p_text(p: float) -> str:
    """A p-value as it is printed."""
    return "-" if np.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}"
