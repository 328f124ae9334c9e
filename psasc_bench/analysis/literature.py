"""Published accuracies, with their sources, and how far ours are from them."""

from __future__ import annotations

from importlib import resources

import pandas as pd

CELL = ["dataset", "epsilon", "method"]


def published() -> pd.DataFrame:
    """The published accuracies (percent) and what stands behind their ± (``half_width``), by data set, epsilon, method
    and ``source``; see the comments in ``reference.csv``."""
    with resources.files("psasc_bench.analysis").joinpath("reference.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype={"dataset": str, "method": str})


def beside_published(summary: pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each published accuracy (of those that are ``known``) of a cell of ``summary`` that has finished runs:
    ``ours`` (a mean of ``n``) and ``published``, both in percent, and their ``difference``, ours less theirs.

    ``agrees`` if the two 95 % intervals meet: ``|ours - published| <= half_width_ours + half_width``. That is missing
    (NA) where either has no interval, as one seed or a number without ± has none.
    """
    ours = summary.loc[
        summary["n"] > 0, [*CELL, "dataset_title", "method_title", "n", "accuracy_mean", "accuracy_high"]
    ]
    found = ours.merge((published() if known is None else known).drop(columns="delta"), on=CELL)
    found["ours"] = 100 * found["accuracy_mean"]
    found["half_width_ours"] = 100 * (found["accuracy_high"] - found["accuracy_mean"])
    found = found.rename(columns={"accuracy": "published"})
    found["difference"] = found["ours"] - found["published"]
    room = found["half_width_ours"] + found["half_width"]
    found["agrees"] = (found["difference"].abs() <= room).astype("boolean").mask(room.isna())
    titles = ["dataset_title", "method_title"]
    numbers = ["n", "ours", "half_width_ours", "source", "published", "half_width", "difference", "agrees"]
    return found[[*CELL, *titles, *numbers]]
