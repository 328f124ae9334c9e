"""Lower bounds on epsilon from an attack's errors: the statistics of auditing, free of any mechanism.

A *false positive* (FP) is a canary that was out and is taken to be in, a *false negative* (FN) the reverse. Of an
(epsilon, delta)-DP mechanism, ``1 - FN <= e^epsilon FP + delta`` and ``1 - FP <= e^epsilon FN + delta`` (Kairouz et al.
2015, arXiv 1311.0776).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]


def error_bounds(inside: Floats, outside: Floats, thresholds: Floats, *, significance: float) -> tuple[Floats, Floats]:
    """Upper bounds on FP and FN at each of ``thresholds [n]``, where a score at the threshold or above means "in". At
    one threshold chosen beforehand, both hold with probability ``1 - significance`` at least."""
    false_positives = len(outside) - np.searchsorted(np.sort(outside), thresholds)
    false_negatives = np.searchsorted(np.sort(inside), thresholds)
    return (
        clopper_pearson(false_positives, len(outside), significance=significance / 2),
        clopper_pearson(false_negatives, len(inside), significance=significance / 2),
    )


def clopper_pearson(counts: ArrayLike, trials: int, *, significance: float) -> Floats:
    """The upper end of the one-sided interval for a binomial proportion, from ``counts`` successes in ``trials``."""
    k = np.asarray(counts)
    return np.where(k < trials, stats.beta.ppf(1 - significance, k + 1, np.maximum(trials - k, 1)), 1.0)


def epsilon_plain(false_positives: ArrayLike, false_negatives: ArrayLike, *, delta: float) -> Floats:
    """The smallest epsilons >= 0 ``[n]`` with which (epsilon, delta)-DP allows such errors ``[n]``: ``log((1 - FN -
    delta) / FP)``, or the same with FP and FN exchanged."""
    fp, fn = np.asarray(false_positives), np.asarray(false_negatives)
    with np.errstate(divide="ignore"):
        one, other = (np.log(np.maximum(1 - b - delta, 0)) - np.log(a) for a, b in ((fp, fn), (fn, fp)))
    return np.asarray(np.maximum(np.maximum(one, other), 0))


def gaussian_mu(false_positives: Floats | float, false_negatives: Floats | float) -> Floats:
    """The smallest ``mu [n]`` with which mu-Gaussian-DP allows such errors ``[n]``, ``Phi^-1(1 - FP) - Phi^-1(FN)``
    (Dong et al. 2019, arXiv 1905.02383, definition 2.6); negative where the errors prove nothing."""
    return np.asarray(stats.norm.isf(false_positives) - stats.norm.ppf(false_negatives))


def epsilon_gaussian(mu: float, *, delta: float) -> float:
    """Epsilon at ``delta`` of a mu-Gaussian-DP mechanism (same paper, corollary 2.13); 0 for ``mu <= 0``."""

    def excess(epsilon: float) -> float:
        here, there = special.log_ndtr(mu / 2 - epsilon / mu), special.log_ndtr(-mu / 2 - epsilon / mu)
        return float(here + math.log(-math.expm1(epsilon + there - here)) - math.log(delta))

    if not mu > 0 or excess(0) <= 0:
        return 0.0
    high = 1.0
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 0, high, xtol=1e-9))


def epsilon_one_run(correct: int, guesses: int, *, canaries: int, delta: float, confidence: float) -> float:
    """The largest epsilon that ``correct`` of ``guesses`` guesses about ``canaries`` canaries rule out (Steinke et al.
    2023, arXiv 2305.08846, theorem 5.2 and appendix D); 0 if none."""

    def slack(epsilon: float) -> float:
        return 1 - confidence - one_run_p_value(epsilon, correct, guesses, canaries=canaries, delta=delta)

    if slack(0) <= 0:
        return 0.0
    high = 1.0
    while slack(high) > 0:
        high *= 2
    return float(optimize.brentq(slack, 0, high, xtol=1e-9))


def one_run_p_value(epsilon: float, correct: int, guesses: int, *, canaries: int, delta: float) -> float:
    """An upper bound on the probability that an (epsilon, delta)-DP mechanism lets as many guesses be ``correct``: the
    binomial tail at ``e^epsilon / (1 + e^epsilon)``, plus what delta can add to it."""
    distribution = stats.binom(guesses, special.expit(epsilon))
    tail = float(distribution.sf(correct - 1))
    shift = np.arange(1, correct + 1)
    added = ((distribution.sf(correct - shift - 1) - tail) / shift).max(initial=0.0)
    return min(1.0, tail + 2 * canaries * delta * float(added))
