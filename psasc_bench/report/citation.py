"""Cells of a study on the terminal, with all that is needed to cite them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from psasc_bench.analysis import CELL, CONFIDENCE, RUN, UNFINISHED, read_times
from psasc_bench.report import accuracy_table
from psasc_bench.report.accuracy_table import plus_minus
from psasc_bench.report.formats import DASH, MINUS, interval
from psasc_bench.report.protocol import listed
from psasc_bench.report.tables import Tables, epsilon_text, unfinished

LINE = 100  # characters
INTERVAL = f"{100 * CONFIDENCE:g} % t-interval"


def render_cells(
    results: Path, *, dataset: str | None = None, epsilon: float | None = None, method: str | None = None
) -> str:
    """The cells of the tables in ``results`` that are of this data set, epsilon and method, where these are given: by
    data set its protocol, a line for each cell, and how to cite them.

    Raises ``ValueError`` for what the tables do not have, ``OSError`` for an absent table.
    """
    tables = Tables(results)
    cells = _chosen(tables.summary, {"dataset": dataset, "epsilon": epsilon, "method": method})
    runs, times = accuracy_table.finished_runs(tables), read_times(results)
    parts = [_of_dataset(of_dataset, runs, times, tables) for _, of_dataset in cells.groupby("dataset", sort=False)]
    return "\n\n".join(parts)


def _chosen(cells: pd.DataFrame, wanted: Mapping[str, str | float | None]) -> pd.DataFrame:
    """Those that have these values; names the first that none has, and those that there are beside the ones before."""
    beside = ""
    for option, value in wanted.items():
        if value is not None:
            there_are = ", ".join(map(_name, cells[option].unique()))
            cells = cells[cells[option] == value]
            if cells.empty:
                raise ValueError(f"--{option}: no {_name(value)}{beside}; there are: {there_are}")
            beside = f"{beside or ' beside'} --{option} {_name(value)}"
    return cells


def _name(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _of_dataset(cells: pd.DataFrame, runs: pd.DataFrame, times: pd.DataFrame, tables: Tables) -> str:
    title = tables.titles[str(cells["dataset"].iloc[0])]
    finished = cells[cells["n"] > 0]
    if finished.empty:
        return " ".join([f"{title}: no run has finished.", *unfinished(cells[UNFINISHED].sum())])
    runs = runs.merge(finished[CELL], on=CELL)
    made = runs.merge(times.drop(columns="status"), on=RUN)
    citation = f"To be cited as\n  {_citation(finished, made, tables)}"
    terms = (textwrap.fill(note, LINE, break_on_hyphens=False) for note in accuracy_table.notes(runs, tables))
    return "\n\n".join([title, *terms, _lines(cells, tables), citation])


def _lines(cells: pd.DataFrame, tables: Tables) -> str:
    rows = [row for _, row in cells.iterrows()]
    columns = {
        "epsilon": [epsilon_text(row["epsilon"]) for row in rows],
        "method": [row["method_title"] for row in rows],
        "accuracy (%)": [plus_minus(100 * row["accuracy_mean"], 100 * row["accuracy_low"]) for row in rows],
        "interval": [_interval(row) for row in rows],
        "seeds": [str(row["n"]) for row in rows],
    }
    if reference := tables.reference_title():
        columns[f"minus {reference} (points), by seed"] = [_difference(row) for row in rows]
    shown = pd.DataFrame(columns)
    return str(shown.to_markdown(index=False, tablefmt="simple", disable_numparse=True))


def _interval(cell: pd.Series[float]) -> str:
    low, high = 100 * cell["accuracy_low"], 100 * cell["accuracy_high"]
    return DASH if pd.isna(low) else f"[{low:.2f}, {high:.2f}]".replace("-", MINUS)


def _difference(cell: pd.Series[float]) -> str:
    if not cell["n_pairs"]:
        return DASH
    if cell["identical"] == cell["n_pairs"]:
        return f"identical in all {cell['n_pairs']:g} pairs"
    ends = (100 * cell[f"difference_{end}"] for end in ("mean", "low", "high"))
    return f"{interval(*ends)}, {cell['n_pairs']:g} pairs"


def _citation(cells: pd.DataFrame, made: pd.DataFrame, tables: Tables) -> str:
    study = f" of {tables.study.name}" if tables.study and tables.study.name else ""
    source = ", ".join([f"psasc-bench results{study}", *_made(made)])
    one = cells.iloc[0]
    if len(cells) > 1:
        what = "mean ± half-width of the" if (cells["n"] > 1).any() else "no"
        of = f"test accuracy on {one['dataset_title']} (percent, {what} {INTERVAL} over {_counts(cells)})"
        return f"{source}: {of}; for one number, add --epsilon and --method"
    cell = f"{one['method_title']} on {one['dataset_title']} at epsilon {epsilon_text(one['epsilon'])}"
    number = plus_minus(100 * one["accuracy_mean"], 100 * one["accuracy_low"])
    return f"{source}: {cell}: {number} % ({f'{INTERVAL}, ' if one['n'] > 1 else 'no interval, '}{_counts(cells)})"


def _counts(cells: pd.DataFrame) -> str:
    least, most = cells["n"].min(), cells["n"].max()
    return f"{most if least == most else f'{least} to {most}'} seed{'s' if most > 1 else ''}"


def _made(runs: pd.DataFrame) -> Iterator[str]:
    """Of which commits ``runs`` are, and when the last of them ended, as far as that is known."""
    known = runs.dropna(subset="commit").sort_values("ended", kind="stable")
    modified = known["modified"].astype(str) == "True"
    commits = list(dict.fromkeys(known["commit"].str[:7] + modified.map({True: " (modified)", False: ""})))
    if commits:
        yield f"commit{'s' if len(commits) > 1 else ''} {listed(commits)}"
    if runs["ended"].notna().any():
        yield str(runs["ended"].dropna().max())[:10]
