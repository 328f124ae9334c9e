"""The primary comparisons of a study in final test accuracy, one per pair of methods and data set, and one answer per
pair over the data sets: a random-effects mean, and the probability of a gain; see docs/claims.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.meta_analysis import combine_effects  # type: ignore[import-untyped]

from psasc_bench.analysis import metrics
from psasc_bench.analysis.comparisons import Comparison, Datasets, Decision, budgets_text, compare, decide
from psasc_bench.analysis.statistics import CONFIDENCE, MARGIN, RESOLUTION
from psasc_bench.study import Roles

COLUMNS = ["dataset", "method", "reference", "tuned", "decides", "budgets", "n", "mean", "low", "high", "low_90"]
COLUMNS += ["high_90", "sd", "identical", "p_holm", "sign", "within_p_holm", "within", "gain_p_holm", "gain_excluded"]
COLUMNS += ["detectable", "seeds_needed"]
ANSWER = ["method", "reference", "tuned", "datasets", "mean", "low", "high", "tau", "i_squared", "q_p"]
ANSWER += ["prediction_low", "prediction_high", "probability_higher", "probability_within", "probability_lower"]
# The hierarchical model, in accuracy: mu uniform over +- this, all that there is, tau half-normal with this scale.
MOST, SPREAD = 1.0, 0.005
# Of the grids that it is integrated on.
MEANS, SPREADS = 401, 40
FINEST = 1e-4


def datasets_of(runs: pd.DataFrame) -> Datasets:
    """Those of which one test example is more than the margin decide nothing."""
    few = 1 / runs["test_examples"] > MARGIN if "test_examples" in runs else pd.Series(False, index=runs.index)
    tuned = runs["tuned"].astype(bool) if "tuned" in runs else pd.Series(False, index=runs.index)
    return Datasets(frozenset(runs.loc[few, "dataset"]), frozenset(runs.loc[tuned, "dataset"]))


def primary_decisions(runs: pd.DataFrame, roles: Roles) -> list[Decision]:
    """Of every method that is no control against the reference, and of those under test against each earlier one, on
    the data sets on which both have been run."""
    values, datasets = metrics.accuracies(runs), datasets_of(runs)
    compared = [str(name) for name in runs.loc[~runs["control"].astype(bool), "method"].unique()]
    against: dict[str, list[str]] = {}
    if roles.reference:
        against = {name: [roles.reference] for name in compared if name != roles.reference}
    for name in (roles.method, roles.momentum):
        if name in compared:
            against[str(name)] = [*against.get(str(name), []), *(one for one in roles.earlier if one in compared)]
    return [
        decision
        for name, references in against.items()
        for decision in decide(compare(values, name, references, datasets=datasets))
        if decision.found.n
    ]


def comparison_table(
    decisions: Sequence[Decision], titles: Mapping[str, str], datasets: Mapping[str, str]
) -> pd.DataFrame:
    """``comparisons.csv``: a row per decision, differences as fractions, with the titles of methods and data sets."""
    rows = [_row(decision) for decision in decisions]
    return _titled(pd.DataFrame(rows, columns=COLUMNS), titles, datasets)


def _row(decision: Decision) -> dict[str, Any]:
    comparison, found, said = decision.comparison, decision.found, decision.said
    return {
        "dataset": comparison.dataset,
        "method": comparison.method,
        "reference": comparison.reference,
        "tuned": comparison.tuned,
        "decides": comparison.decides,
        "budgets": budgets_text(comparison.budgets),
        **{key: getattr(found, key) for key in ("n", "mean", "low", "high", "low_90", "high_90", "sd", "identical")},
        **{key: getattr(decision, key) for key in ("p_holm", "within_p_holm", "gain_p_holm")},
        **said._asdict(),
        "detectable": decision.detectable,
        "seeds_needed": decision.seeds_needed,
    }


def answer_table(decisions: Sequence[Decision], titles: Mapping[str, str]) -> pd.DataFrame:
    """``answer.csv``: a row per pair of methods, of the data sets that decide and have at least two seeds."""
    rows = []
    usable = [one for one in decisions if one.comparison.decides and one.found.n > 1]
    for pair, of_pair in groupby(sorted(usable, key=_pair), key=_pair):
        effects = [_effect(decision) for decision in of_pair]
        said = random_effects(effects)._asdict() | gain_probabilities(effects)._asdict()
        rows.append(dict(zip(ANSWER, pair, strict=False)) | {"datasets": len(effects)} | said)
    order = {_pair(one): i for i, one in reversed(list(enumerate(decisions)))}
    rows.sort(key=lambda row: order[str(row["method"]), str(row["reference"]), bool(row["tuned"])])
    return _titled(pd.DataFrame(rows, columns=ANSWER), titles, {})


def _pair(decision: Decision) -> tuple[str, str, bool]:
    comparison: Comparison = decision.comparison
    return comparison.method, comparison.reference, comparison.tuned


class Effect(NamedTuple):
    """Of one data set: the estimate, its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: int


def _effect(decision: Decision) -> Effect:
    """Of pairs that are all alike the error is that of one test example in each, not none."""
    found = decision.found
    error = found.sd / math.sqrt(found.n)
    return Effect(found.mean, error if error > RESOLUTION else 1e-4 / math.sqrt(found.n), found.n - 1)


class RandomEffects(NamedTuple):
    """The mean over data sets with its 95 % interval, the standard deviation ``tau`` between them, the share
    ``i_squared`` of the variance that is between them, ``p`` of Cochran's test that there is none, and the 95 %
    interval for a further data set. NaN is what too few data sets cannot say."""

    mean: float
    low: float = math.nan
    high: float = math.nan
    tau: float = math.nan
    i_squared: float = math.nan
    q_p: float = math.nan
    prediction_low: float = math.nan
    prediction_high: float = math.nan


def random_effects(effects: Sequence[Effect]) -> RandomEffects:
    """By Paule and Mandel's variance between data sets and the interval of Hartung and Knapp, of ``k - 1`` degrees of
    freedom; the prediction interval is ``mean +- t_{k-2} sqrt(tau^2 + se^2)`` (Higgins et al. 2009). Of one data set
    it is that data set's own t-interval.

    Data sets that agree by chance would have an interval of no width: ``se`` is no less than that without Hartung and
    Knapp's factor (Röver, Knapp and Friede 2015)."""
    means, errors = np.array([one.mean for one in effects]), np.array([one.error for one in effects])
    if len(effects) == 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, effects[0].freedom)) * effects[0].error
        return RandomEffects(effects[0].mean, effects[0].mean - half, effects[0].mean + half)
    with np.errstate(divide="ignore"):  # data sets that agree in every digit
        found = combine_effects(means, errors**2, method_re="iterated")
    mean, tau = float(found.mean_effect_re), math.sqrt(max(float(found.tau2), 0.0))
    error, q, more = max(float(found.sd_eff_w_re), float(found.sd_eff_w_re_hksj)), float(found.q), len(effects) - 1
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, more)) * error
    predicted = math.nan
    if len(effects) > 2:
        predicted = float(stats.t.ppf((1 + CONFIDENCE) / 2, more - 1)) * math.hypot(tau, error)
    return RandomEffects(
        mean=mean,
        low=mean - half,
        high=mean + half,
        tau=tau,
        i_squared=(q - more) / q if q > more else 0.0,
        q_p=float(stats.chi2.sf(q, more)),
        prediction_low=mean - predicted,
        prediction_high=mean + predicted,
    )


class Probabilities(NamedTuple):
    """That on a further data set the difference is above the margin, within it, or below minus the margin."""

    probability_higher: float
    probability_within: float
    probability_lower: float


def gain_probabilities(effects: Sequence[Effect], *, margin: float = MARGIN) -> Probabilities:
    """By the hierarchical model ``delta_d ~ N(mu, tau^2)``, ``mean_d ~ t_{n_d - 1}(delta_d, error_d)``, ``mu`` uniform
    over +-100 points and ``tau`` half-normal with a scale of 0.5 points (after Benavoli et al. 2017), integrated on a
    grid of ``mu``, finest around the data sets' weighted mean, and of the logarithm of ``tau``."""
    centre = np.average([one.mean for one in effects], weights=[one.error**-2 for one in effects])
    steps = np.linspace(-1, 1, MEANS) * math.asinh(2 * MOST / FINEST)
    mu = (centre + FINEST * np.sinh(steps))[:, None]
    tau = np.geomspace(SPREAD / 500, 5 * SPREAD, SPREADS)[None, :]
    log_posterior = np.where(np.abs(mu) <= MOST, np.log(np.cosh(steps))[:, None], -np.inf)
    log_posterior = log_posterior + stats.halfnorm.logpdf(tau, scale=SPREAD) + np.log(tau)
    for effect in effects:
        log_posterior += np.log(_likelihood(effect, mu, tau) + np.finfo(float).tiny)
    posterior = np.exp(log_posterior - log_posterior.max())
    posterior /= posterior.sum()
    higher = float((posterior * special.ndtr((mu - margin) / tau)).sum())
    lower = float((posterior * special.ndtr((-margin - mu) / tau)).sum())
    return Probabilities(higher, max(1 - higher - lower, 0.0), lower)


def _likelihood(effect: Effect, mu: NDArray[np.float64], tau: NDArray[np.float64]) -> NDArray[np.float64]:
    """``int t((mean - delta)/error) N(delta; mu, tau^2) d delta`` for each ``mu [m, 1]`` and ``tau [1, k]``, but for a
    constant: a t is a normal with a precision ``g`` drawn from a gamma distribution of mean 1, so that the integral is
    the mean over ``g`` of ``N(mean; mu, tau^2 + error^2/g)``; by the trapezoid rule in ``log g``."""
    logs = np.arange(-12, 3, 0.8 * math.sqrt(2 / effect.freedom))  # in steps of less than the density is wide
    weights = np.exp(effect.freedom / 2 * (logs - np.exp(logs)))
    squares, found = (effect.mean - mu) ** 2, np.zeros(np.broadcast_shapes(mu.shape, tau.shape))
    for g, weight in zip(np.exp(logs), weights / weights.sum(), strict=True):
        variance = tau**2 + effect.error**2 / g
        found += weight * np.exp(-squares / variance / 2) / np.sqrt(variance)
    return found


def _titled(table: pd.DataFrame, titles: Mapping[str, str], datasets: Mapping[str, str]) -> pd.DataFrame:
    """With the titles behind the names."""
    named = {"dataset": datasets, "method": titles, "reference": titles}
    for column, of in named.items():
        if column in table:
            table.insert(list(table.columns).index(column) + 1, f"{column}_title", table[column].map(of))
    return table
