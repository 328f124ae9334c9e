"""The tidy tables of a study, read back for what people look at."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from psasc_bench.analysis import (
    CONFIDENCE,
    UNFINISHED,
    default_roles,
    of_the_study,
    published,
    read_study,
    read_table,
)
from psasc_bench.report import style
from psasc_bench.report.style import Look
from psasc_bench.study import Cell, Roles, Study

WORKFLOW = "snakemake"
MOST_NAMED = 320  # characters of cells without a run in a note
READINGS = ("dp-psasc", "dp-psasc-inner")


@dataclass(frozen=True)
class Tables:
    """The tidy tables in a folder, or what they have of one data set."""

    folder: Path
    dataset: str | None = None

    def read(self, name: str) -> pd.DataFrame:
        table = read_table(self.folder / f"{name}.csv")
        if self.dataset is None or "dataset" not in table:
            return table
        return table[table["dataset"] == self.dataset].reset_index(drop=True)

    def requested(self, *names: str, any_epsilon: bool = False) -> pd.DataFrame:
        """The first of these tables that there is, as far as it is of the study, at its epsilons or at any; empty if
        there is none."""
        table = self._found(*names)
        if table.empty:
            return table
        named = table[table["dataset"].isin(self.titles) & table["method"].isin(self.method_titles)]
        found = of_the_study(named, self.study, any_epsilon=any_epsilon) if self.study else named
        titles = {"dataset_title": ("dataset", self.titles), "method_title": ("method", self.method_titles)}
        return found.assign(**{column: found[name].map(of) for column, (name, of) in titles.items() if column in found})

    def left_out(self, *names: str) -> list[str]:
        """In words, how many rows ``requested`` leaves out; empty if none."""
        others = len(self._found(*names)) - len(self.requested(*names, any_epsilon=True))
        return [f"{others} rows of other settings are left out."] if others else []

    def _found(self, *names: str) -> pd.DataFrame:
        there = (name for name in names if (self.folder / f"{name}.csv").exists())
        return self.read(name) if (name := next(there, None)) else pd.DataFrame()

    @cached_property
    def study(self) -> Study | None:
        """None where only tables were handed on."""
        return read_study(self.folder)

    def as_called(self, text: str) -> str:
        """With the file of a study in a folder of its own in the commands that ``text`` names."""
        given = shlex.join(self.study.configfile) if self.study else ""
        return text.replace(f"{WORKFLOW} --cores", f"{WORKFLOW} --configfile {given} --cores") if given else text

    @property
    def place(self) -> str:
        """What tells a command that the tables are of a study in a folder of its own."""
        return f" --config {shlex.join(self.study.configfile[-1:])}" if self.study and self.study.configfile else ""

    @cached_property
    def roles(self) -> Roles:
        return self.study.roles() if self.study else default_roles(self.summary)

    @cached_property
    def published(self) -> pd.DataFrame:
        """The published accuracies of the study's data, methods and budgets, under the names that these have here."""
        found = published()
        if self.study is None:
            return found
        parts = [found.head(0)]
        for name, protocol in self.study.datasets.items():
            delta = found["delta"].isna() | (found["delta"] == protocol.delta) | np.isinf(found["epsilon"])
            of_data = found[(found["dataset"] == protocol.source) & delta & (protocol.features == "pixels")]
            for method in self.study.methods_on(name):
                if not self._changed(name, method):
                    of_method = of_data[of_data["method"] == self.study.known_as(method)]
                    parts.append(of_method.assign(dataset=name, method=method))
        return pd.concat(parts)

    def _changed(self, dataset: str, method: str) -> bool:
        """Whether it is trained there by other update rules than the heavy ball, or on altered examples."""
        assert self.study
        spec = self.study.spec(Cell(dataset, method, self.study.cell_epsilons(dataset, method)[0]), 0)
        return bool(spec.optimiser or spec.augment)

    @cached_property
    def summary(self) -> pd.DataFrame:
        return self.read("summary")

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """The primary ones, see docs/claims.md."""
        return self._having("comparisons", "tuned", "decides")

    @cached_property
    def answer(self) -> pd.DataFrame:
        """By pair of methods, the mean over data sets."""
        return self._having("answer", "tuned")

    @cached_property
    def claims(self) -> pd.DataFrame:
        return self._having("claims", "primary")

    def _having(self, name: str, *flags: str) -> pd.DataFrame:
        """A table with these columns of yes or no, which older ones lack: then it raises ``ValueError``."""
        table = self.read(name)
        if lacking := [column for column in flags if column not in table]:
            path = self.folder / f"{name}.csv"
            raise ValueError(f"{path}: has no column {lacking[0]!r}; `snakemake --cores 8` makes it anew")
        return table.astype(dict.fromkeys(flags, bool))

    @cached_property
    def finished(self) -> pd.DataFrame:
        """The cells of the summary that have a mean."""
        return self.summary[self.summary["n"] > 0]

    def nothing(self) -> str:
        """In words, why there is nothing to show where no run has finished."""
        counts = self.summary[UNFINISHED].sum()
        runs = ", ".join(f"{counts[status]} {status}" for status in UNFINISHED if counts[status])
        return f"no run has finished ({runs})"

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Of finished runs only: what a diverged one did on its way is no result."""
        curves = self.read("curves")
        return curves[curves["status"] == "done"] if len(curves) else curves

    @cached_property
    def weights(self) -> pd.DataFrame:
        """Those of settings that are the same at every budget: others are no one function."""
        weights = self.read("weights")
        return weights[weights["epsilon"].isna()].reset_index(drop=True) if "epsilon" in weights else weights

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
        return f"{self.titles[dataset]}, ε = {epsilon_text(epsilon)}"

    @cached_property
    def evaluated(self) -> str:
        """What accuracy is that of, in words."""
        runs = self.read("runs")
        averaged = "optimiser" in runs and runs["optimiser"].astype(str).str.contains("average").any()
        return "last iterate, or of its average where the optimiser has one," if averaged else "last iterate"

    def reading(self, *, tested: bool = False) -> str:
        """The title of the method that is our reading of the DP-PSASC paper, if the study has it or, where that is
        ``tested``, has it under test; else empty."""
        ours = [name for name in self.methods if self.known_as(name) in READINGS]
        if self.roles.method in ours:
            return self.method_titles[self.roles.method]
        return self.method_titles[ours[0]] if ours and not tested else ""

    def known_as(self, name: str) -> str:
        return self.study.known_as(name) if self.study else name

    def reference_title(self) -> str:
        """Empty where the study has no reference."""
        return self.method_titles.get(str(self.roles.reference), "")

    def unseen(self, shown: Collection[str]) -> list[str]:
        """In words, which data sets of the study are not among those ``shown``; empty if none."""
        absent = [title for dataset, title in self.titles.items() if dataset not in shown]
        return [f"Without a finished run: {', '.join(absent)}."] if absent else []

    def gaps(self) -> list[str]:
        """In words, what is not shown and what the means lack; empty if nothing."""
        absent = "; ".join(self._absent(named=True))
        if len(absent) > MOST_NAMED:
            absent = "; ".join(self._absent(named=False))
        notes = [f"No finished run: {absent}."] if absent else []
        partial = self.summary.assign(missing=self.summary["missing"].where(self.summary["n"] > 0, 0))
        return [*notes, *unfinished(partial[UNFINISHED].sum())]

    def _absent(self, *, named: bool) -> Iterator[str]:
        """Data sets without a finished run, or what of them has none, by budget and method; or else how much."""
        for dataset, cells in self.summary.groupby("dataset", sort=False):
            title = self.titles[str(dataset)]
            if cells["n"].any():
                lacking = f"{(cells['n'] == 0).sum()} of {len(cells)} cells"
                if parts := _empty(cells):
                    yield f"{title} ({'; '.join(parts) if named else lacking})"
            else:
                yield title


def epsilon_text(epsilon: float) -> str:
    return "∞" if math.isinf(epsilon) else f"{epsilon:g}"


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
