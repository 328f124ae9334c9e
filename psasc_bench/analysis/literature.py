"""Published accuracies, with their sources, and how far ours are from them."""

from __future__ import annotations

from importlib import resources

import pandas as pd

from psasc_bench.analysis.statistics import welch_interval

CELL = ["dataset", "epsilon", "method"]
ASSUMED_RUNS = 5  # where a source does not say: what most papers of the field have


def published() -> pd.DataFrame:
    """The published accuracies (percent) and what stands behind their ± (``half_width``), by data set, epsilon, method
    and ``source``; see the comments in ``reference.csv``."""
    with resources.files("psasc_bench.analysis").joinpath("reference.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype={"dataset": str, "method": str})


def beside_published(summary: pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each published accuracy (of those that are ``known``) of a cell of ``summary`` that has finished runs:
    ``ours`` (a mean of ``n``) and ``published``, both in percent, and the ``difference``, ours minus theirs, with its
    95 % interval by Welch (``low``, ``high``), what is behind the source's ± being taken as the 95 % t-interval of its
    ``runs``, or of five where it does not say. The interval is missing (NaN) where either has none, as one seed or a
    number without ± has none.
    """
    columns = [*CELL, "dataset_title", "method_title", "n", "accuracy_mean", "accuracy_high"]
    ours = summary.loc[summary["n"] > 0, columns]
    found = ours.merge((published() if known is None else known).drop(columns="delta"), on=CELL)
    found["ours"] = 100 * found["accuracy_mean"]
    found["half_width_ours"] = 100 * (found["accuracy_high"] - found["accuracy_mean"])
    found = found.rename(columns={"accuracy": "published"})
    found["difference"] = found["ours"] - found["published"]
    found["runs"] = found["runs"].fillna(ASSUMED_RUNS).astype(int)
    theirs = ["published", "half_width", "runs"]
    samples = found[["ours", "half_width_ours", "n", *theirs]].itertuples(index=False, name=None)
    ends = [welch_interval(*sample) for sample in samples]
    found["low"], found["high"] = zip(*ends, strict=True) if ends else ([], [])
    titles = ["dataset_title", "method_title"]
    numbers = ["n", "ours", "half_width_ours", "source", *theirs, "difference", "low", "high"]
    return found[[*CELL, *titles, *numbers]]
