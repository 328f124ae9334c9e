"""Accuracy by epoch, as differences to the study's reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from psasc_bench.analysis import MARGIN
from psasc_bench.report import drawing, layout, style
from psasc_bench.report.formats import MINUS
from psasc_bench.report.tables import Tables, averages, extremes

TICKS = (0.2, 1, 5, 25)  # points, to both sides of zero
EARLY = 0.25  # of the epochs
ROUNDING = 1e-9  # points: nearer to zero than this, a mean is zero
Means = Mapping[tuple[Any, ...], pd.DataFrame]


def draw(tables: Tables) -> Figure:
    """Test accuracy minus that of the study's reference at the same epoch, paired by seed; above it the reference's
    own, or that of all methods where there is nothing to take the difference to. A column per data set at its smallest
    and its largest budget."""
    if tables.finished.empty:
        return layout.blank(tables.nothing())
    accuracies = averages(100 * tables.curves["test_accuracy"], tables.curves)
    differences = averages(_differences(tables), tables.curves)
    cells = extremes(tables.dataset_budgets)
    upper = [str(tables.roles.reference)] if differences else _alone(tables)
    if not upper:
        return layout.blank("only controls have finished a run, and those at a budget show that noise teaches nothing")
    compared = [method for method in tables.methods if any(key[2] == method for key in differences)]
    groups = drawing.groups(compared)
    heights = [0.5, *(1.4 if len(groups) == 1 else 1.1 for _ in groups)] if differences else [1.4]
    figure, columns = layout.panels(len(cells), len(heights), abreast=4, height=heights)
    for (dataset, epsilon), column in zip(cells, columns, strict=True):
        for method in upper:
            without_budget = accuracies.get((dataset, math.inf, method))
            drawing.band(column[0], accuracies.get((dataset, epsilon, method), without_budget), method, tables)
        for axes, group in zip(column[1:], groups, strict=False):
            _draw(axes, {method: differences.get((dataset, epsilon, method)) for method in group}, tables)
        last = tables.curves.loc[tables.curves["dataset"] == dataset, "epoch"].max()
        for axes in column:
            axes.set_xlim(0, last + 1)
        layout.heading(column[0], tables.title(dataset, epsilon))
        column[-1].set_xlabel("Epoch")
    layout.align([column[:1] for column in columns], [dataset for dataset, _ in cells], ["Accuracy\n(%)"])
    if differences:
        layout.align([column[1:] for column in columns], ["all"] * len(cells), ["Difference\n(points)"] * len(groups))
        for column in columns:
            column[0].tick_params(labelbottom=False)
    notes = _notes(tables) if differences else [tables.sample(upper)]
    shown = {*upper, *compared}
    if len(groups) > 1:
        shown = {*upper}
        for axes, group in zip(columns[-1][1:], groups, strict=True):
            drawing.key(axes, group, tables)
    drawing.annotate(figure, tables, shown, [*notes, *tables.gaps()])
    return figure


def _alone(tables: Tables) -> list[str]:
    """What is drawn where there are no differences: the methods, and controls without a budget; one with a budget only
    shows that noise teaches nothing."""
    finished = tables.finished
    shown = set(finished.loc[~finished["control"] | np.isinf(finished["epsilon"]), "method"])
    return [method for method in tables.looks if method in shown]


def _differences(tables: Tables) -> pd.Series[float]:
    """Beside the curves, in points: the test accuracy minus the reference's at the same epoch of the same seed; NaN for
    the reference itself, for controls, and where there is none."""
    curves = tables.curves
    of_reference = curves["method"] == tables.roles.reference
    keys = [curves[key] for key in ("dataset", "epsilon", "seed", "epoch")]
    reference = curves["test_accuracy"].where(of_reference).groupby(keys).transform("max")
    compared = curves["method"].isin(tables.methods) & ~of_reference
    return 100 * (curves["test_accuracy"] - reference).where(compared)


def _draw(axes: Axes, means: Mapping[str, pd.DataFrame | None], tables: Tables) -> None:
    """Linear within the margin, and logarithmic beyond it."""
    there = {method: of_one for method, of_one in means.items() if of_one is not None}
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.axhspan(-100 * MARGIN, 100 * MARGIN, color="0.92", linewidth=0, zorder=0)
    tested = tables.roles.method
    drawing.curves(axes, there, tables, banded=[tested] if tested else list(there))
    if tested in there:
        _mark_crossing(axes, there[tested]["mean"], tables.looks[tested].color)
        early = EARLY * there[tested].index.max()
        axes.axvline(early, color=style.GREY, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    limit = max([1.0, *(1.1 * of_one["mean"].abs().max() for of_one in there.values())])
    axes.set_yscale("symlog", linthresh=100 * MARGIN, linscale=1)
    axes.set_ylim(-limit, limit)
    axes.yaxis.set_major_locator(FixedLocator([*(-tick for tick in TICKS), 0, *TICKS]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", MINUS) if value else "0")
    axes.minorticks_off()


def _mark_crossing(axes: Axes, means: pd.Series[float], color: str) -> None:
    if math.isnan(epoch := crossing(means)):
        return
    axes.axvline(epoch, color=color, linewidth=0.6, zorder=1)
    side = "left" if epoch < means.index.max() / 2 else "right"
    axes.text(epoch, 0.98, f" {epoch:.0f} ", transform=axes.get_xaxis_transform(), ha=side, va="top", color=color)


def crossing(means: pd.Series[float]) -> float:
    """The epoch at which the line through these ``means`` crosses zero for the last time; NaN if it never does."""
    epochs, values = means.index.to_numpy(dtype=float), means.to_numpy(dtype=float)
    epochs, values = epochs[np.abs(values) > ROUNDING], values[np.abs(values) > ROUNDING]
    (changes,) = np.nonzero(np.diff(np.sign(values)))
    if not len(changes):
        return math.nan
    k = changes[-1]
    share = values[k] / (values[k] - values[k + 1])
    return float(epochs[k] + share * (epochs[k + 1] - epochs[k]))


def _notes(tables: Tables) -> list[str]:
    reference, method = tables.reference_title(), tables.method_titles.get(str(tables.roles.method), "")
    notes = [
        f"Test accuracy minus that of {reference} at the same epoch, paired by seed; above it that of {reference}.",
        f"Shaded: within ±{100 * MARGIN:g} points, where the axis is linear; beyond, it is logarithmic.",
        tables.sample(tables.methods),
    ]
    if method:
        if tables.finished["n"].max() > 1:
            notes.append(f"Interval: of {method}.")
        notes.append(f"Solid, with its epoch: where the mean of {method} last crosses zero.")
        notes.append("Dotted: a quarter of the epochs.")
    return [*notes, "Of each data set its smallest and largest budget."]
