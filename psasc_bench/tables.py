"""The tidy tables of a study, read back for the figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from psasc_bench import style
from psasc_bench.results import UNFINISHED
from psasc_bench.style import Look

NAMES = {"dataset": str, "method": str, "dataset_title": str, "method_title": str}


@dataclass(frozen=True)
class Tables:
    """The tidy tables in a folder."""

    folder: Path

    def read(self, name: str) -> pd.DataFrame:
        try:
            return pd.read_csv(self.folder / f"{name}.csv", dtype=NAMES)
        except pd.errors.EmptyDataError:
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
    def contestants(self) -> list[str]:
        return [method for method in self.looks if method not in self.controls]

    @cached_property
    def titles(self) -> dict[str, str]:
        """By name, of data sets."""
        return dict(zip(self.summary["dataset"], self.summary["dataset_title"], strict=True))

    @cached_property
    def method_titles(self) -> dict[str, str]:
        return dict(zip(self.summary["method"], self.summary["method_title"], strict=True))

    def sample(self) -> str:
        """In words, how many seeds the means are of."""
        least, most = self.finished["n"].min(), self.finished["n"].max()
        if most == 1:
            return "One seed, hence no interval."
        return f"Mean and 95 % t-interval over {most if least == most else f'{least} to {most}'} seeds."

    def gaps(self) -> list[str]:
        """In words, what the means lack; empty if nothing."""
        counts = {status: self.summary[status].sum() for status in UNFINISHED if status in self.summary}
        found = [f"{count} {status}" for status, count in counts.items() if count]
        return [f"Runs that enter no mean: {', '.join(found)}."] if found else []
