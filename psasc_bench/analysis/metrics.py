"""What the claims are about: from the tidy tables one ``value``, more being better, per data set, epsilon, method and
seed, with a ``note`` for the reader where the value alone does not say enough."""

from __future__ import annotations

import math

import pandas as pd

from psasc_bench.analysis.statistics import RESOLUTION

CELL = ["dataset", "epsilon"]
RUN = [*CELL, "method", "seed"]
LATE = 0.75  # the last quarter of the epochs
NEAR = 0.01  # a setting is near the best within a point of accuracy
QUARTERS = ("first", "second", "third", "last")


def accuracies(runs: pd.DataFrame, column: str = "test_accuracy") -> pd.DataFrame:
    """The final accuracy of every run; NaN for one that has not finished or diverged."""
    return runs.assign(value=runs[column].where(runs["status"] == "done"))


def small_gradient_shares(epochs: pd.DataFrame) -> pd.DataFrame:
    """The share of all weight that goes to the quarter of the examples with the smallest gradients, late in training;
    1/4 where all weigh the same."""
    return _late(epochs, "quarter_weight")


def effective_sample_sizes(epochs: pd.DataFrame) -> pd.DataFrame:
    """How many equally weighted examples the weights are worth, as a share of all examples, late in training."""
    return _late(epochs, "effective_sample_size")


def released_cosines(epochs: pd.DataFrame) -> pd.DataFrame:
    """The cosine to expect between what a step releases and the true mean gradient, late in training."""
    return _late(epochs, "released_cosine")


def _late(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """The mean of what was measured in the last quarter of the epochs; by ``trajectory``, too, where there is one."""
    run = [*(["trajectory"] if "trajectory" in epochs else []), *RUN]
    late = epochs[epochs["epoch"] > LATE * epochs.groupby(run)["epoch"].transform("max")]
    return late.groupby(run, sort=False)[column].mean().rename("value").reset_index()


def shares_near_best(sweep: pd.DataFrame) -> pd.DataFrame:
    """The share of the settings of a sweep whose accuracy is within a point of the best of the same method and seed.

    A diverged setting's is not; a seed with settings that have not been run is left out."""
    seeds = [sweep[key] for key in RUN]
    ended = sweep["status"].isin(["done", "diverged"]).groupby(seeds).transform("all")
    values = accuracies(sweep, "accuracy")["value"]
    near = values.groupby(seeds).transform("max") - values <= NEAR + RESOLUTION
    runs = (
        sweep[ended].assign(near=near).groupby(RUN, sort=False)["near"].agg(value="mean", settings="size").reset_index()
    )
    share = runs.groupby([*CELL, "method"])["value"].transform("mean")
    notes = [
        f"{method} has {mean:.0%} of {settings} settings within a point of its best"
        for method, mean, settings in zip(runs["method"], share, runs["settings"], strict=True)
    ]
    return runs.assign(note=notes)


def curve_means(curves: pd.DataFrame, quarter: int | None = None) -> pd.DataFrame:
    """The mean test accuracy over the epochs of every finished run, or over those of a ``quarter`` of them (0 to 3): of
    ``E`` epochs those above ``quarter E/4`` and up to ``(quarter + 1) E/4``."""
    done = curves[curves["status"] == "done"]
    if quarter is not None:
        progress = 4 * done["epoch"] / done.groupby(RUN)["epoch"].transform("max")
        done = done[(progress > quarter) & (progress <= quarter + 1)]
    return done.groupby(RUN, sort=False)["test_accuracy"].mean().rename("value").reset_index()


def last_crossing(curves: pd.DataFrame, method: str, reference: str) -> pd.Series[float]:
    """By data set, the share of training after which the mean accuracy of ``method``, over the budgets and seeds that
    both have, is no longer above that of ``reference``; NaN where it never is, 1 where it is at the end."""
    done = curves[curves["status"] == "done"]
    keys = ["dataset", "epsilon", "seed", "epoch"]
    pairs = done.pivot(index=keys, columns="method", values="test_accuracy")
    if not {method, reference} <= set(pairs):
        return pd.Series(dtype=float)
    differences = (pairs[method] - pairs[reference]).dropna().groupby(["dataset", "epoch"]).mean()
    found = {}
    for dataset, by_epoch in differences.groupby(level="dataset"):
        epochs = by_epoch.droplevel("dataset")
        ahead = epochs.index[epochs > RESOLUTION]
        found[str(dataset)] = ahead.max() / epochs.index.max() if len(ahead) else math.nan
    return pd.Series(found, dtype=float)
