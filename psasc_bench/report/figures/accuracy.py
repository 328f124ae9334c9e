"""Accuracy against epsilon."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import by_method, drawing, layout, style
from psasc_bench.report.tables import Tables, percent


def draw(tables: Tables) -> Figure:
    """Final test accuracy against epsilon, and below it the difference to the study's reference, paired by seed; of
    many methods, the accuracy alone."""
    cells = tables.finished
    if cells.empty:
        return layout.blank(tables.nothing())
    if by_method.many(cells.loc[~cells["control"], "method"].unique()):
        return _by_method(cells, tables)
    paired = "difference_mean" in cells and bool(cells.loc[~cells["control"], "difference_mean"].notna().any())
    runs = tables.read("runs")
    deltas = runs[~runs["control"]].groupby("dataset")["delta"].max()
    datasets = cells["dataset"].unique()
    shown, below = [], []
    figure, panels = layout.panels(len(datasets), 2 if paired else 1)
    grid = panels[0][0].get_gridspec()
    width = 72 * 0.75 * figure.get_figwidth() / (grid.ncols if grid else 1)  # without the axis labels
    for dataset, column in zip(datasets, panels, strict=True):
        rows = cells[cells["dataset"] == dataset]
        compared, controls = rows[~rows["control"]], rows[rows["control"]]
        budgets = sorted(epsilon for epsilon in rows["epsilon"].unique() if math.isfinite(epsilon))
        for axes in column:
            drawing.budget_axis(axes, budgets)
        drawing.points(column[0], percent(compared, "accuracy"), budgets, tables, width=width)
        squashing = controls["accuracy_mean"] < _floor(compared)
        drawing.yardsticks(column[0], percent(controls[~squashing], "accuracy"), budgets, tables)
        below.append(percent(controls[squashing], "accuracy"))
        shown += [*compared["method"], *controls.loc[~squashing, "method"]]
        if paired:
            differences = percent(compared, "difference")
            differences.loc[differences["method"] == tables.roles.reference, "mean"] = 0
            drawing.points(column[1], differences, budgets, tables, width=width)
            column[1].axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
            column[0].tick_params(labelbottom=False)
        column[0].set_title(tables.titles[dataset], parse_math=False)
        delta = f" ($\\delta={layout.power(deltas[dataset])}$)" if dataset in deltas else ""
        column[-1].set_xlabel(f"Privacy budget $\\varepsilon${delta}")
    labels = ["Test accuracy (%)"]
    notes = [tables.sample()]
    if paired:
        labels.append(f"Difference to {tables.reference_title()}\n(percentage points)")
        notes.append("Differences are paired by seed.")
    elif tables.roles.reference is None:
        notes.append("The study has no method to compare others with.")
    layout.align(panels, list(datasets), labels)
    for method, mean in pd.concat(below).groupby("method")["mean"]:
        notes.append(f"Below the axis: {tables.method_titles[str(method)]}, {mean.min():.0f} to {mean.max():.0f} %.")
    drawing.annotate(figure, tables, shown, [*notes, *tables.gaps()], lines=tables.controls)
    return figure


def _by_method(cells: pd.DataFrame, tables: Tables) -> Figure:
    """A row per method: differences have a figure of their own."""
    compared, controls = cells[~cells["control"]], cells[cells["control"]]
    shown = percent(compared, "accuracy").assign(band=compared["dataset"].map(tables.titles))
    figure, notes = by_method.forest(shown, tables, scale=_scale, text=lambda mean: f"{mean:.1f}", label="Accuracy (%)")
    for (method, dataset), rows in controls.groupby(["method", "dataset"], sort=False):
        ends = [f"{100 * rows['accuracy_mean'].agg(end):.1f}" for end in ("min", "max")]
        place = f"{tables.method_titles[str(method)]}, {tables.titles[str(dataset)]}"
        notes.append(f"{place}: {' to '.join(dict.fromkeys(ends))} %.")
    layout.annotate(figure, [], ["Final test accuracy.", tables.sample(tables.methods), *notes, *tables.gaps()])
    return figure


def _scale(axes: Axes, rows: pd.DataFrame) -> None:
    """From the lowest to the highest interval, but for a tenth of them, which may be far below the others."""
    low, high = np.quantile(rows["low"].fillna(rows["mean"]), 0.1, method="lower"), rows[["mean", "high"]].max().max()
    margin = 0.05 * max(high - low, 0.1)
    axes.set_xlim(low - margin, high + margin)


def _floor(compared: pd.DataFrame) -> float:
    """A control below this accuracy would squash the methods: further down than their own range is wide, or than 5
    points. NaN, which nothing is below, where there are no others."""
    ends = compared[["accuracy_mean", "accuracy_low", "accuracy_high"]].to_numpy(dtype=float, na_value=np.nan)
    if not len(ends):
        return math.nan
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    return low - max(high - low, 0.05)
