"""The tables of a study as one page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psasc_bench import plugins
from psasc_bench.analysis import UNFINISHED, unlike_origins
from psasc_bench.report.formats import escape_markdown, interval, markdown_table, rules_link
from psasc_bench.report.tables import Tables
from psasc_bench.report.writeup_tables import comparison_lines
from psasc_bench.study import Study


def render_results_page(study: Study, results: Path) -> str:
    """The page, from the tidy tables in ``results``. Raises ``OSError`` for an absent table."""
    tables = Tables(results)
    table, summary = tables.read("runs"), tables.summary
    lines = ["# Results", "", _header(tables, rules_link(results, results / "README.md")), ""]
    begun = summary[summary["missing"] < summary[["n", *UNFINISHED]].sum(axis="columns")]
    for dataset, cells in begun.groupby("dataset", sort=False):
        protocol = study.dataset(str(dataset))
        lines += [
            f"## {escape_markdown(protocol.title)}",
            "",
            f"delta {protocol.delta:g}, expected batch size {protocol.expected_batch_size}, {protocol.epochs} epochs, "
            f"model `{plugins.shown(protocol.model)}`.{_large_delta(table[table['dataset'] == dataset])}",
            "",
            _table(cells, escape_markdown(tables.reference_title())),
            "",
            *([compared, ""] if (compared := _compared(tables, str(dataset))) else []),
        ]
    unfinished = table[table["status"] != "done"]
    if len(unfinished):
        lines += ["## Runs that enter no mean", "", *_unfinished(unfinished, table), ""]
        due = ", ".join(unfinished.loc[unfinished["status"].isin(["missing", "stale"]), "dataset"].unique())
        if due:
            lines += [f"`snakemake --cores 8 --config 'train=[{due}]'` trains what is missing or stale.", ""]
    if unlike := unlike_origins(tables.read("times"), study.roles().reference):
        lines += ["## Runs that were not made alike", "", *(f"* {escape_markdown(line)}" for line in unlike), ""]
    return tables.as_called("\n".join(lines))


def _unfinished(runs: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """A line for each data set, epsilon or cell with runs missing, and for each run that ended badly or is stale."""
    missing = runs[runs["status"] == "missing"]
    for dataset, of_dataset in missing.groupby("dataset", sort=False):
        if len(of_dataset) == (table["dataset"] == dataset).sum():
            yield f"* {dataset}: none of its {len(of_dataset)} runs is there"
            continue
        for epsilon, of_epsilon in of_dataset.groupby("epsilon", sort=False):
            if len(of_epsilon) == ((table["dataset"] == dataset) & (table["epsilon"] == epsilon)).sum():
                yield f"* {dataset}, eps-{epsilon:g}: none of its {len(of_epsilon)} runs is there"
                continue
            for method, cell in of_epsilon.groupby("method", sort=False):
                yield f"* {dataset}/{method}/eps-{epsilon:g}: missing: seeds {', '.join(map(str, cell['seed']))}"
    for _, run in runs.drop(missing.index).iterrows():
        why = f" ({escape_markdown(run['reason'])})" if isinstance(run.get("reason"), str) else ""
        yield f"* {run['dataset']}/{run['method']}/eps-{run['epsilon']:g}/seed-{run['seed']}: {run['status']}{why}"


def _large_delta(runs: pd.DataFrame) -> str:
    if "sampling_rate" not in runs:
        return ""
    examples = (runs["expected_batch_size"] / runs["sampling_rate"]).max()
    if not runs["delta"].max() * examples >= 1:
        return ""
    return f" **Delta is not below 1/{examples:.0f}, one over the number of training examples: that is no privacy.**"


COMPARED = """\
, and the difference to {reference} in
percentage points, paired by seed, with its own 95 % t-interval. These describe single budgets; what is decided is one
comparison per data set, under each table, of the seeds that all its budgets have ({rules})"""
HEADER = """\
Test accuracy in percent of the {evaluated}: mean of n seeds with its 95 % t-interval{compared}.
Epsilon is for adding or removing one example; choosing the hyper-parameters is not accounted for.{reading} The same
numbers are in `summary.csv` and `comparisons.csv`, unrounded; one row per run is in `runs.csv`, one per epoch in
`curves.csv`. What they say of {whose} claims is in `claims.md`. The workflow writes this file."""
ALIGNMENT = ("right", "left", "right", "right", "right")


def _header(tables: Tables, rules: str) -> str:
    reference, ours = escape_markdown(tables.reference_title()), escape_markdown(tables.reading())
    return HEADER.format(
        evaluated=tables.evaluated.removesuffix(","),
        compared=COMPARED.format(reference=reference, rules=rules) if reference else "",
        whose="the paper's" if ours else "the",
        reading=f" {ours} is our reading of the paper." if ours else "",
    )


def _compared(tables: Tables, dataset: str) -> str:
    """The primary comparisons with the reference on a data set."""
    found = tables.comparisons
    of_one = found[(found["dataset"] == dataset) & (found["reference"] == tables.roles.reference) & (found["n"] > 0)]
    if of_one.empty:
        return ""
    return comparison_lines(of_one, tables, f"minus {tables.reference_title()}")


def _table(cells: pd.DataFrame, reference: str) -> str:
    def percent(row: pd.Series[Any], name: str) -> str:
        mean, low, high = (100 * row[f"{name}_{part}"] for part in ("mean", "low", "high"))
        return "-" if np.isnan(mean) else interval(mean, low, high, differences=name == "difference")

    compared = {
        f"difference to {reference}": [percent(row, "difference") for _, row in cells.iterrows()],
    }
    shown = pd.DataFrame(
        {
            "epsilon": [f"{epsilon:g}" for epsilon in cells["epsilon"]],
            "method": cells["method_title"].map(escape_markdown),
            "n": cells["n"].astype(str),
            "accuracy": [percent(row, "accuracy") for _, row in cells.iterrows()],
            **(compared if reference else {}),
        }
    ).sort_values("epsilon", kind="stable", key=lambda column: column.astype(float))
    return markdown_table(shown, ALIGNMENT[: len(shown.columns)])
