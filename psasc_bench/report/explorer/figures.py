"""The figures of the page, in its order: differences to the reference first, then what they are differences of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from psasc_bench.analysis import CELL, CONFIDENCE, MARGIN
from psasc_bench.report.explorer.charts import Theme
from psasc_bench.report.explorer.contents import ACCURACY, CLOSE, DIFFERENCE, heading
from psasc_bench.report.style import Look
from psasc_bench.report.tables import Tables

# What one can learn of a single run.
RECORD = ["seed", "status", ACCURACY, DIFFERENCE, "test_loss", "learning_rate", "momentum", "optimiser"]
RECORD += ["augmentations", "noise_multiplier", "epsilon_rdp", "epsilon_pld", "delta", "steps_taken"]
NOT_PRIVATE = "nonprivate_"
INTERVALS = f"{100 * CONFIDENCE:g} % t-intervals."
BAND = f"Grey: less than {CLOSE} points either way, practically none. With {INTERVALS}"
MEANS = f"Means over seeds with {INTERVALS}"
SINGLE = "Small: single seeds; point at one for its run."


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart of the rows of ``table``: one panel per value of the column ``by``, showing one of the columns
    ``metrics`` (here with their titles), which the Vega-Lite specification ``spec`` knows as ``value``, and half the
    width of its interval as ``half``. It may also draw the rows of a table of single runs, ``points``.

    Where the specification asks for ``least`` and ``most`` all panels have one scale: that of the values, with their
    intervals if these are shown ``whole``, and of what it ``includes``."""

    name: str
    title: str
    caption: str
    table: str
    metrics: dict[str, str]
    spec: dict[str, Any]
    by: str | None = None
    points: str | None = None
    whole: bool = False
    includes: tuple[float, ...] = ()


def figures(held: Mapping[str, pd.DataFrame], looks: dict[str, Look], tables: Tables) -> list[Figure]:
    theme = Theme(looks, tables.method_titles, margin=100 * MARGIN)
    record = [column for column in RECORD if column in held["runs"]]
    differences = _differences(held, theme, record, reference=tables.reference_title())
    return [*differences, *_accuracies(held, theme, record), *_of_methods(held, theme)]


def _differences(held: Mapping[str, pd.DataFrame], theme: Theme, record: list[str], *, reference: str) -> list[Figure]:
    metrics = {DIFFERENCE: f"Difference to {reference}, paired by seed (percentage points)"}
    around = (-100 * MARGIN, 100 * MARGIN)
    found = []
    if "forest" in held:
        forest = Figure(
            name="primary",
            title="Differences",
            caption="Primary comparisons: of every data set, over all its budgets and seeds; above, what is decided. "
            f"{BAND} Of the mean: how probable a gain above {CLOSE} points is on a further data set.",
            table="forest",
            metrics=metrics,
            spec=theme.primary(held["forest"]["method"].nunique()),
            by="panel",
            whole=True,
            includes=around,
        )
        found.append(forest)
    if held["summary"][DIFFERENCE].notna().any():
        by_budget = Figure(
            name="difference",
            title="Differences by privacy budget",
            caption=f"{BAND} {SINGLE}",
            table="summary",
            metrics=metrics,
            spec=theme.by_budget(record, paired=True),
            points="runs",
        )
        found.append(by_budget)
    if DIFFERENCE in held.get("curves", []):
        by_epoch = Figure(
            name="difference-by-epoch",
            title="Differences by epoch",
            caption=f"On test examples, after each epoch. {BAND}",
            table="curves",
            metrics=metrics,
            spec=theme.by_epoch(paired=True),
            by="epsilon",
            includes=around,
        )
        found.append(by_epoch)
    return found


def _accuracies(held: Mapping[str, pd.DataFrame], theme: Theme, record: list[str]) -> list[Figure]:
    accuracy = {ACCURACY: "Test accuracy (%)"}
    by_budget = Figure(
        name="accuracy",
        title="Accuracy by privacy budget",
        caption=f"{MEANS} {SINGLE}",
        table="summary",
        metrics=accuracy,
        spec=theme.by_budget(record, paired=False),
        points="runs",
    )
    if "curves" not in held:
        return [by_budget]
    diagnostics = _titles(held["curves"], prefix=NOT_PRIVATE)
    by_epoch = Figure(
        name="epoch",
        title="By epoch",
        caption=MEANS,
        table="curves",
        metrics={**accuracy, "test_loss": "Test loss (nats)"}
        | {column: f"{title}, not private" for column, title in diagnostics.items()},
        spec=theme.by_epoch(paired=False),
        by="epsilon",
    )
    return [by_budget, by_epoch]


def _of_methods(held: Mapping[str, pd.DataFrame], theme: Theme) -> list[Figure]:
    found = []
    if "deviation" in held:
        deviation = Figure(
            name="deviation",
            title="Deviation",
            caption="Scaled against true mean gradient, along one trajectory for all methods; not private. " + MEANS,
            table="deviation",
            metrics=_titles(held["deviation"]),
            spec=theme.by_epoch(paired=False),
            by="epsilon",
        )
        found.append(deviation)
    if "weights" in held:
        weights = Figure(
            name="weights",
            title="Weight functions",
            caption="Against the gradient norm x of an example. Δ is the sensitivity, to which noise is proportional.",
            table="weights",
            metrics={"relative_weight": "Weight w(x)/Δ", "relative_contribution": "Contribution x w(x)/Δ"},
            spec=theme.by_norm(),
        )
        found.append(weights)
    if "audit" in held:
        audit = Figure(
            name="audit",
            title="Audit",
            caption="A tick is the claim; a point above it would refute it. Of all data sets: the step is the same.",
            table="audit",
            metrics={"epsilon_lower": "Lower bound on ε that an attack proves"},
            spec=theme.audit(),
            by="schedule",
        )
        found.append(audit)
    return found


def _titles(means: pd.DataFrame, *, prefix: str = "") -> dict[str, str]:
    """Of the quantities whose names begin with ``prefix``."""
    about = {*CELL, "epoch"}
    names = [name for name in map(str, means) if name.startswith(prefix) and not name.endswith("_half")]
    named = {name: heading(name.removeprefix(prefix)) for name in names if name not in about}
    return {name: f"{title[0].upper()}{title[1:]}" for name, title in named.items()}
