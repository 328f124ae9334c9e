"""How often the rules by which claims are decided err, and what they see: by simulation on the spread of a study.

    python benchmarks/claim_errors.py --runs results/runs.csv --studies 20000

Seeds are drawn as multivariate normal differences between two methods: one per budget of each data set, with the
covariance that the differences of a study's methods to its reference have there, pooled over the methods. Every study
is then decided by the rule in use (``seed means``) and by others that were weighed against it:

* ``every cell``: a paired t-test per data set and budget, Holm over all of them (the first design of this suite);
* ``moderated``: the variances of the budgets of a data set, moderated by an empirical Bayes prior (Smyth 2004), and
  summed to that of their mean as if budgets were independent;
* ``moderated, correlated``: the same with the correlation of budgets, pooled over the data sets of the study;
* ``floored``: the variance of the seed means, but no less than independent budgets would give.

The seed of the generator is fixed: the same table each time. ``docs/claims.md`` prints it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from psasc_bench.analysis.primary import datasets_of
from psasc_bench.analysis.statistics import ALPHA, MARGIN

Array = NDArray[np.float64]
# Per study and data set: the estimate, its standard error and the degrees of freedom.
Estimates = tuple[Array, Array, Array]


def pooled_covariances(runs: pd.DataFrame, reference: str) -> dict[str, Array]:
    """By data set, the covariance ``[budgets, budgets]`` over seeds of the accuracy's differences to ``reference``, the
    mean over the other methods that are no controls."""
    done = runs[(runs["status"] == "done") & ~runs["control"].astype(bool)]
    found = {}
    for dataset, of_one in done.groupby("dataset", sort=False):
        table = of_one.pivot(index="seed", columns=["method", "epsilon"], values="test_accuracy")
        others = [name for name in of_one["method"].unique() if name != reference]
        each = [np.atleast_2d(np.cov((table[name] - table[reference]).dropna().T)) for name in others]
        found[str(dataset)] = np.mean(each, axis=0)
    return found


def draw(
    covariances: Sequence[Array], effects: Sequence[float], seeds: int, studies: int, random: np.random.Generator
) -> list[Array]:
    """Differences ``[studies, seeds, budgets]`` of each data set."""
    return [
        effect + random.multivariate_normal(np.zeros(len(covariance)), covariance, size=(studies, seeds))
        for covariance, effect in zip(covariances, effects, strict=True)
    ]


def seed_means(differences: Sequence[Array]) -> Estimates:
    """The rule in use: per seed the mean over budgets, and of these a t-test."""
    means = [of_one.mean(axis=2) for of_one in differences]
    seeds = means[0].shape[1]
    errors = [of_one.std(axis=1, ddof=1) / np.sqrt(seeds) for of_one in means]
    estimates = np.stack([of_one.mean(axis=1) for of_one in means], axis=1)
    return estimates, np.stack(errors, axis=1), np.full(estimates.shape, seeds - 1.0)


def floored(differences: Sequence[Array]) -> Estimates:
    estimates, errors, freedom = seed_means(differences)
    seeds = differences[0].shape[1]
    least = [np.sqrt(of_one.var(axis=1, ddof=1).mean(axis=1) / of_one.shape[2] / seeds) for of_one in differences]
    return estimates, np.maximum(errors, np.stack(least, axis=1)), freedom


def moderated(differences: Sequence[Array], *, correlated: bool = False) -> Estimates:
    estimates, _, _ = seed_means(differences)
    seeds = differences[0].shape[1]
    correlation = _consensus(differences) if correlated else np.zeros(len(estimates))
    errors, freedom = [], []
    for of_one in differences:
        variances, budgets = of_one.var(axis=1, ddof=1), of_one.shape[2]
        prior, more = _prior(variances, seeds - 1)
        shrunk = np.where(
            np.isinf(more),
            prior,
            (np.where(np.isinf(more), 0, more) * prior + (seeds - 1) * variances.T)
            / (np.where(np.isinf(more), 0, more) + seeds - 1),
        ).T
        sds = np.sqrt(shrunk)
        spread = (1 - correlation) * shrunk.sum(axis=1) + correlation * sds.sum(axis=1) ** 2
        errors.append(np.sqrt(spread / budgets**2 / seeds))
        freedom.append(seeds - 1 + more)
    return estimates, np.stack(errors, axis=1), np.stack(freedom, axis=1)


def _prior(variances: Array, freedom: int) -> tuple[Array, Array]:
    """Scale and degrees of freedom of the prior of ``variances [studies, budgets]``, by moments of their logarithms
    (Smyth 2004, section 6.2); one budget has nothing to learn from."""
    studies, budgets = variances.shape
    if budgets == 1:
        return variances[:, 0], np.zeros(studies)
    logs = np.log(variances) - special.digamma(freedom / 2) + np.log(freedom / 2)
    excess = logs.var(axis=1, ddof=1) - special.polygamma(1, freedom / 2)
    halves = np.where(excess > 0, _inverse_trigamma(np.maximum(excess, 1e-12)), np.inf)
    known = np.where(np.isinf(halves), 1.0, halves)
    shift = np.where(np.isinf(halves), 0.0, special.digamma(known) - np.log(known))
    return np.exp(logs.mean(axis=1) + shift), 2 * halves


def _inverse_trigamma(values: Array) -> Array:
    found = 0.5 + 1 / values
    for _ in range(60):
        trigamma = special.polygamma(1, found)
        found = found + trigamma * (1 - trigamma / values) / special.polygamma(2, found)
    return found


def _consensus(differences: Sequence[Array]) -> Array:
    """Of each study, the correlation between budgets, pooled over data sets on Fisher's scale."""
    found = []
    for of_one in differences:
        budgets = of_one.shape[2]
        if budgets == 1:
            continue
        centred = of_one - of_one.mean(axis=1, keepdims=True)
        products = np.einsum("ksa,ksb->kab", centred, centred)
        scale = np.sqrt(np.einsum("kaa->ka", products))
        correlations = products / scale[:, :, None] / scale[:, None, :]
        upper = correlations[:, *np.triu_indices(budgets, 1)]
        found.append(np.arctanh(np.clip(upper, -0.999, 0.999)).mean(axis=1))
    return np.clip(np.tanh(np.mean(found, axis=0)), 0, 1)


def every_cell(differences: Sequence[Array]) -> Estimates:
    return seed_means([of_one[:, :, [budget]] for of_one in differences for budget in range(of_one.shape[2])])


def holm(p_values: Array) -> Array:
    """Row by row, as ``statistics.holm``."""
    order = np.argsort(p_values, axis=1)
    size = p_values.shape[1]
    ranked = np.take_along_axis(p_values, order, axis=1) * (size - np.arange(size))
    corrected = np.empty_like(ranked)
    np.put_along_axis(corrected, order, np.minimum(np.maximum.accumulate(ranked, axis=1), 1), axis=1)
    return corrected


def statements(estimates: Array, errors: Array, freedom: Array) -> dict[str, Array]:
    """What is said of each data set: the sign is (``higher``, ``lower``); the difference is ``within`` the margin or
    ``beyond`` it; a gain of the margin is ``excluded``."""
    t = stats.t(freedom)
    below, above = t.cdf((estimates - MARGIN) / errors), t.sf((estimates + MARGIN) / errors)
    sign = holm(2 * t.sf(np.abs(estimates) / errors)) < ALPHA
    beyond = np.minimum(1, 2 * np.minimum(t.sf((estimates - MARGIN) / errors), t.cdf((estimates + MARGIN) / errors)))
    return {
        "higher": sign & (estimates > 0),
        "lower": sign & (estimates < 0),
        "within": holm(np.maximum(below, above)) < ALPHA,
        "beyond": holm(beyond) < ALPHA,
        "excluded": holm(below) < ALPHA,
    }


RULES: dict[str, Callable[[Sequence[Array]], Estimates]] = {
    "seed means": seed_means,
    "floored": floored,
    "moderated": moderated,
    "moderated, correlated": lambda differences: moderated(differences, correlated=True),
    "every cell": every_cell,
}


def simulate(covariances: dict[str, Array], *, seeds: int, studies: int, random: np.random.Generator) -> pd.DataFrame:
    """A row per rule, in percent of the studies. Errors are of any data set of a study, at the truth where they are
    most likely; what is seen is a mean over data sets, or over cells."""
    kinds, rows = list(covariances.values()), {name: {} for name in RULES}
    for truth in (0.0, MARGIN, 0.003):
        differences = draw(kinds, [truth] * len(kinds), seeds, studies, random)
        for name, rule in RULES.items():
            said = statements(*rule(differences))
            signed = said["higher"] | said["lower"]
            if truth == 0:
                rows[name] |= {"a sign, truth 0": signed.any(axis=1).mean(), "within, truth 0": said["within"].mean()}
                rows[name] |= {"gain excluded, truth 0": said["excluded"].mean()}
            elif truth == MARGIN:
                rows[name] |= {"within, truth .2": said["within"].any(axis=1).mean()}
                rows[name] |= {"beyond, truth .2": said["beyond"].any(axis=1).mean()}
                rows[name] |= {"gain excluded, truth .2": said["excluded"].any(axis=1).mean()}
                rows[name] |= {"higher, truth .2": said["higher"].mean()}
            else:
                rows[name] |= {"higher, truth .3": said["higher"].mean()}
    table = pd.DataFrame(rows).T
    errors = ["a sign, truth 0", "within, truth .2", "beyond, truth .2", "gain excluded, truth .2"]
    seen = ["higher, truth .2", "higher, truth .3", "within, truth 0", "gain excluded, truth 0"]
    return 100 * table[errors + seen]


def by_dataset(covariances: dict[str, Array], *, seeds: int, studies: int, random: np.random.Generator) -> pd.DataFrame:
    """Of the rule in use: how often it says ``higher`` of each data set, by the true difference in points."""
    kinds, rows = list(covariances.values()), {}
    for truth in (0.0005, 0.001, 0.002, 0.003, 0.004):
        said = statements(*seed_means(draw(kinds, [truth] * len(kinds), seeds, studies, random)))
        rows[f"{100 * truth:g}"] = 100 * said["higher"].mean(axis=0)
    return pd.DataFrame(rows, index=list(covariances))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("results/runs.csv"))
    parser.add_argument("--reference", default="dp-sgd")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 12])
    parser.add_argument("--studies", type=int, default=20_000)
    options = parser.parse_args()
    runs = pd.read_csv(options.runs)
    covariances = pooled_covariances(runs[~runs["dataset"].isin(datasets_of(runs).indecisive)], options.reference)
    for name, covariance in covariances.items():
        deviations = 100 * np.sqrt(np.diag(covariance))
        of_means = 100 * np.sqrt(covariance.mean())
        print(f"{name}: standard deviation {deviations.round(3)} points by budget, {of_means:.3f} of the seed means")
    with pd.option_context("display.width", 200, "display.max_columns", 20, "display.float_format", "{:.1f}".format):
        for seeds in options.seeds:
            random = np.random.default_rng(seeds)
            print(f"\n{seeds} seeds, percent of {options.studies} studies:")
            print(simulate(covariances, seeds=seeds, studies=options.studies, random=random).to_string())
            print("\n`higher` by the rule in use, by the true difference (points):")
            print(by_dataset(covariances, seeds=seeds, studies=options.studies, random=random).to_string())


if __name__ == "__main__":
    main()
