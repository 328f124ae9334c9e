"""Where runs that are compared were made: pairs on unlike machines, and records of a package that had been changed."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from psasc_bench.analysis.times import MACHINE

PAIR = ["dataset", "epsilon", "seed"]
CELL = ["dataset", "method", "epsilon"]


def unlike_origins(times: pd.DataFrame, reference: str | None) -> list[str]:
    """A line for each cell of finished runs (in the table ``times.csv``) that is paired with runs of the ``reference``
    on another device, processor or torch, or that has records of a modified package beside records of an unmodified
    one: what differs there need not be the method."""
    done = times[times["status"] == "done"]
    if done.empty:
        return []
    return [*_unlike_pairs(done, reference), *_modified(done)]


def _unlike_pairs(done: pd.DataFrame, reference: str | None) -> Iterator[str]:
    machines = done[MACHINE].astype(object).fillna("unknown").agg(", ".join, axis="columns")
    made = done[[*PAIR, "method"]].assign(machine=machines)
    pairs = made.merge(made[made["method"] == reference], on=PAIR, suffixes=("", "_reference"))
    unlike = pairs[pairs["machine"] != pairs["machine_reference"]]
    for (dataset, method, epsilon), cell in unlike.groupby(CELL, sort=False):
        here, there = (" or ".join(cell[name].unique()) for name in ("machine", "machine_reference"))
        seeds = ", ".join(map(str, cell["seed"]))
        yield (
            f"{dataset}/{method}/eps-{epsilon:g}: seeds {seeds} were trained on {here}; those of "
            f"{reference} that they are paired with on {there}"
        )


def _modified(done: pd.DataFrame) -> Iterator[str]:
    for dataset, runs in done.groupby("dataset", sort=False):
        modified = runs[runs["modified"].astype(object).fillna(value=False).astype(bool)]
        if len(modified) in (0, len(runs)):
            continue
        for (method, epsilon), cell in modified.groupby(["method", "epsilon"], sort=False):
            seeds = ", ".join(map(str, cell["seed"]))
            yield (
                f"{dataset}/{method}/eps-{epsilon:g}: seeds {seeds} are of a package that was modified "
                f"after its commit; other runs of {dataset} are not"
            )
