"""The tidy tables of a study, read back for the figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from psasc_bench.analysis import CONFIDENCE, UNFINISHED
from psasc_bench.report import style
from psasc_bench.report.style import Look

NAMES = {"dataset": str, "method": str, "dataset_title": str, "method_title": str}


@dataclass(frozen=True)
class Tables:
    """The tidy tables in a folder, or what they have of one data set."""

    folder: Path
    dataset: str | None = None

    def read(self, name: str) -> pd.DataFrame:
        try:
            table = pd.read_csv(self.folder / f"{name}.csv", dtype=NAMES)
        except pd.errors.EmptyDataError:
            return pd.DataFrame()
        if self.dataset is None or "dataset" not in table:
            return table
        return table[table["dataset"] == self.dataset].reset_index(drop=True)

    def requested(self, *names: str) -> pd.DataFrame:
        """The first of these tables that there is, as far as it is about the study; empty if there is none."""
        for name in names:
            if (self.folder / f"{name}.csv").exists():
                table = self.read(name)
                return table[table["dataset"].isin(self.titles)] if len(table) else table
        return pd.DataFrame()

    @cached_property
    def summary(self) -> pd.DataFrame:
        return self.read("summary")

    @cached_property
    def finished(self) -> pd.DataFrame:
        """The cells of the summary that have a mean. Raises ``ValueError`` if there is none."""
        cells = self.summary[self.summary["n"] > 0]
        if cells.empty:
            raise ValueError(f"{self.folder}: no run has finished, nothing to draw; `snakemake --cores 8` trains them")
        return cells

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Of finished runs only: what a diverged one did on its way is no result."""
        curves = self.read("curves")
        return curves[curves["status"] == "done"] if len(curves) else curves

    @cached_property
    def controls(self) -> set[str]:
        return set(self.summary.loc[self.summary["control"], "method"].unique())

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Of every method of the study, shown or not: it decides which look the next unknown one takes."""
        return style.looks(list(self.summary["method"].unique()), self.controls)

    @cached_property
    def methods(self) -> list[str]:
        return [method for method in self.looks if method not in self.controls]

    @cached_property
    def titles(self) -> dict[str, str]:
        """By name, of data sets."""
        return dict(zip(self.summary["dataset"], self.summary["dataset_title"], strict=True))

    @cached_property
    def method_titles(self) -> dict[str, str]:
        return dict(zip(self.summary["method"], self.summary["method_title"], strict=True))

    def sample(self, methods: Collection[str] | None = None) -> str:
        """In words, how many seeds the means are of; those of these ``methods``, or all."""
        shown = self.finished if methods is None else self.finished[self.finished["method"].isin(methods)]
        return sample(shown["n"])

    @cached_property
    def dataset_budgets(self) -> list[tuple[str, float]]:
        """The data sets and budgets at which a method has finished a run, in the order of the study; where only
        controls have, the data set without a budget."""
        found = []
        for dataset, cells in self.finished.groupby("dataset", sort=False):
            budgets = sorted(cells.loc[~cells["control"], "epsilon"].unique())
            found += [(str(dataset), epsilon) for epsilon in budgets or [math.inf]]
        return found

    def title(self, dataset: str, epsilon: float) -> str:
        return f"{self.titles[dataset]}, ε = {epsilon:g}"

    def unseen(self, shown: Collection[str]) -> list[str]:
        """In words, which data sets of the study are not among those ``shown``; empty if none."""
        absent = [title for dataset, title in self.titles.items() if dataset not in shown]
        return [f"Without a finished run: {', '.join(absent)}."] if absent else []

    def gaps(self) -> list[str]:
        """In words, what is not shown and what the means lack; empty if nothing."""
        absent = list(self._absent())
        notes = [f"No finished run: {'; '.join(absent)}."] if absent else []
        partial = self.summary.assign(missing=self.summary["missing"].where(self.summary["n"] > 0, 0))
        return [*notes, *unfinished(partial[UNFINISHED].sum())]

    def _absent(self) -> Iterator[str]:
        """Data sets without a finished run, or what of them has none, by budget and method."""
        for dataset, cells in self.summary.groupby("dataset", sort=False):
            title = self.titles[str(dataset)]
            if cells["n"].any():
                parts = _empty(cells)
                if parts:
                    yield f"{title} ({'; '.join(parts)})"
            else:
                yield title


def extremes(dataset_budgets: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The smallest and the largest budget of each data set, of ``dataset_budgets`` in the order of budgets."""
    budgets: dict[str, list[float]] = {}
    for dataset, epsilon in dataset_budgets:
        budgets.setdefault(dataset, []).append(epsilon)
    return [(dataset, epsilon) for dataset, of in budgets.items() for epsilon in dict.fromkeys([of[0], of[-1]])]


def _empty(cells: pd.DataFrame) -> list[str]:
    """The budgets at which no method in ``cells`` has a finished run, and the methods that have none at others."""
    budgets: dict[str, list[str]] = {}
    for epsilon, rows in cells.groupby("epsilon"):
        empty = rows[rows["n"] == 0]
        if len(empty):
            which = "" if len(empty) == len(rows) > 1 else ", ".join(empty["method_title"])
            budgets.setdefault(which, []).append(f"{epsilon:g}")
    at = {which: "" if values == ["inf"] else f"ε = {', '.join(values)}" for which, values in budgets.items()}
    return [" at ".join(part for part in (which, where) if part) for which, where in at.items()]


def sample(sizes: pd.Series[int]) -> str:
    """In words, that means of samples of these sizes are shown."""
    least, most = sizes.min(), sizes.max()
    if most == 1:
        return "One seed, hence no interval."
    return f"Mean and 95 % t-interval over {most if least == most else f'{least} to {most}'} seeds."


def unfinished(counts: pd.Series[int]) -> list[str]:
    """In words, how many runs enter no mean, by their status; empty if none."""
    found = [f"{counts[status]} {status}" for status in UNFINISHED if counts.get(status, 0)]
    return [f"Runs that enter no mean: {', '.join(found)}."] if found else []


def percent(cells: pd.DataFrame, name: str) -> pd.DataFrame:
    """Columns ``mean``, ``low`` and ``high`` of the quantity called ``name``, in percent."""
    ends = {end: 100 * cells[f"{name}_{end}"] for end in ("mean", "low", "high")}
    return cells[["method", "epsilon"]].assign(**ends)


def averages(values: pd.Series[Any], curves: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """By data set, epsilon and method: ``mean``, ``low`` and ``high`` over seeds of the ``values`` that stand beside
    ``curves``, with the epoch as index; epochs without a value are left out."""
    groups = values.groupby([curves[key] for key in ("dataset", "epsilon", "method", "epoch")])
    mean, count = groups.mean(), groups.count()
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * groups.std() / np.sqrt(count)
    table = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half}).dropna(subset="mean")
    return {key: rows.droplevel([0, 1, 2]) for key, rows in table.groupby(level=[0, 1, 2])}
