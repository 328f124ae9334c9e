"""How methods stand over all cells of a study: performance profiles (Agarwal et al., NeurIPS 2021) and mean ranks.

Both compare what compares: the blocks, each a data set, budget and seed, in which every method has finished; a method
without any finished run is left out. Intervals are percentiles of a bootstrap with the seeds of a data set as clusters,
for its budgets share batches and noise. Seeds that have other budgets than the rest are a stratum of their own, so that
each resample has all cells.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psasc_bench.analysis.statistics import CONFIDENCE, MARGIN, RESOLUTION

CELL = ["dataset", "epsilon"]
NAMES = ["method", "method_title"]
SEED, RESAMPLES = 0, 2000
THRESHOLDS = 81
SHOWN = 0.95  # of the scores lie between the first and the last threshold


def performance_profiles(runs: pd.DataFrame, reference: str, *, seed: int = SEED) -> pd.DataFrame:
    """By ``method`` and ``threshold`` tau, in points, the ``share`` of runs with a score above tau, from ``low`` to
    ``high``: ``1/M sum_m 1/N_m sum_n 1[x_mn > tau]`` over the ``cells`` m and their seeds n. The score ``x_mn`` is the
    final test accuracy minus the mean of the ``reference`` in that cell, which is taken as given.

    Empty where no block has all methods, the reference among them.
    """
    accuracies = 100 * _blocks(runs)
    columns = [*NAMES, "threshold", "share", "low", "high", "cells"]
    if accuracies.empty or reference not in accuracies:
        return pd.DataFrame(columns=columns)
    cells = accuracies.groupby(CELL)
    weights = 1 / (cells[reference].transform("size") * cells.ngroups)
    scores = accuracies.sub(cells[reference].transform("mean"), axis="index")
    drawn = _drawn(accuracies.index, seed)
    profiles = {tau: _mean(scores > tau + RESOLUTION, weights, drawn) for tau in _thresholds(scores)}
    table = pd.concat(profiles, names=["threshold"]).swaplevel().loc[list(accuracies)].reset_index()
    return _named(table, runs).rename(columns={"mean": "share"}).assign(cells=cells.ngroups)[columns]


def ranks(runs: pd.DataFrame, *, seed: int = SEED) -> pd.DataFrame:
    """The mean ``rank`` of each ``method`` by final test accuracy, from ``low`` to ``high``: 1 is the best, and equals
    share a rank. The mean is over the seeds of a cell, then the cells of a data set, then the data sets; ``cells`` says
    how many there are. Empty where no block has all methods."""
    accuracies = _blocks(runs)
    columns = [*NAMES, "cells", "rank", "low", "high"]
    if accuracies.empty:
        return pd.DataFrame(columns=columns)
    cells = accuracies.groupby(CELL)
    weights = 1 / cells[accuracies.columns[0]].transform("size")
    weights /= weights.groupby("dataset").transform("sum") * accuracies.index.unique("dataset").size
    ranked = accuracies.rank(axis="columns", ascending=False)
    table = _mean(ranked, weights, _drawn(accuracies.index, seed)).reset_index()
    return _named(table, runs).rename(columns={"mean": "rank"}).assign(cells=cells.ngroups)[columns]


def _blocks(runs: pd.DataFrame) -> pd.DataFrame:
    """The accuracies of each data set, epsilon and seed, a column per method in the order of the study."""
    done = runs[(runs["status"] == "done") & ~runs["control"].astype(bool)]
    table = done.pivot(index=[*CELL, "seed"], columns="method", values="test_accuracy")
    return table[done["method"].unique()].dropna()


def _named(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    titles = dict(zip(runs["method"], runs["method_title"], strict=True))
    return table.assign(method_title=table["method"].map(titles))


def _mean(values: pd.DataFrame, weights: pd.Series[float], drawn: NDArray[np.float64]) -> pd.DataFrame:
    """By column, the ``mean`` of the ``values`` of the blocks, with their ``weights``, and from ``low`` to ``high``
    that of the blocks as they are ``drawn``."""
    shares = values.mul(weights, axis="index")
    resampled = np.stack([(drawn * share[:, None]).sum(axis=0) for share in shares.to_numpy().T])
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
    return pd.DataFrame({"mean": shares.sum(), "low": low, "high": high})


def _drawn(blocks: pd.Index, seed: int) -> NDArray[np.float64]:
    """How often each block is in each resample ``[blocks, RESAMPLES]``, all of a seed as often; NaN on a data set with
    one seed, of which there is no interval."""
    generator = np.random.default_rng(seed)
    table = blocks.to_frame(index=False).assign(place=range(len(blocks)))
    seeds = table.groupby(["dataset", "seed"]).agg(budgets=("epsilon", tuple), places=("place", list))
    counts = np.full((len(blocks), RESAMPLES), np.nan)
    for _, of_dataset in seeds.groupby("dataset"):
        for _, stratum in of_dataset.groupby("budgets") if len(of_dataset) > 1 else ():
            n = len(stratum)
            times = generator.multinomial(n, [1 / n] * n, size=RESAMPLES)
            for places, often in zip(stratum["places"], times.T, strict=True):
                counts[places] = often
    return counts


def _thresholds(scores: pd.DataFrame) -> NDArray[np.float64]:
    """Evenly over the middle of the scores, and over the margin at least."""
    low, high = np.quantile(scores, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])
    return np.linspace(min(low, -100 * MARGIN), max(high, 100 * MARGIN), THRESHOLDS)
