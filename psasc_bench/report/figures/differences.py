"""Differences to the study's reference, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import by_method, forests, layout
from psasc_bench.report.tables import Tables, percent

ROW = 0.135  # inches
BETWEEN = 0.6  # rows, between data sets
WHOLE = 0.95  # of the intervals are on the axis as a whole
LABEL, HEADING = 20, 26  # characters
COLUMNS = ("dataset", "epsilon", "mean", "low", "high")
Cell = tuple[str, float]


def draw(tables: Tables) -> Figure:
    """Paired differences of final test accuracy to the study's reference, as a forest on one scale: a panel per method
    with a row per data set and budget or, of many methods, a panel per data set and budget with a row per method."""
    reference, title = tables.roles.reference, tables.reference_title()
    if reference is None:
        return layout.blank("the study has no method to compare others with")
    cells = tables.summary[~tables.summary["control"] & (tables.summary["method"] != reference)]
    cells = cells[cells["n_pairs"] > 0]
    if cells.empty:
        return layout.blank(f"no method has a finished run paired with one of {title}")
    shown = percent(cells, "difference").assign(dataset=cells["dataset"])
    methods = [method for method in tables.methods if method in set(shown["method"])]
    limit = _limit(shown)
    figure, notes = _by_method(shown, tables, limit) if by_method.many(methods) else _by_cell(shown, tables, limit)
    notes = [
        f"Final test accuracy minus that of {title}, paired by seed.",
        tables.sample(methods),
        *notes,
        forests.MARGIN_TEXT,
        *tables.gaps(),
    ]
    layout.annotate(figure, [], notes)
    return figure


def _by_method(shown: pd.DataFrame, tables: Tables, limit: float) -> tuple[Figure, list[str]]:
    def scale(axes: Axes, _: pd.DataFrame) -> None:
        forests.prepare(axes, limit=limit)

    banded = shown.assign(band=shown["dataset"].map(tables.titles))
    return by_method.forest(banded, tables, scale=scale, text=forests.number, label="Points")


def _by_cell(shown: pd.DataFrame, tables: Tables, limit: float) -> tuple[Figure, list[str]]:
    methods = [method for method in tables.methods if method in set(shown["method"])]
    rows, end = _rows(shown, tables)
    figure, columns = layout.panels(len(methods), 1, height=max(ROW * end + 0.35, layout.LOWEST))
    cut = 0
    for method, (axes,) in zip(methods, columns, strict=True):
        forests.prepare(axes, limit=limit)
        axes.set_ylim(end, -1)
        place = axes.get_subplotspec()
        _label(axes, rows, tables, written=place is None or place.is_first_col())
        cut += _forest(axes, shown[shown["method"] == method], method, rows, tables)
        layout.heading(axes, *layout.wrapped(tables.method_titles[method], HEADING).splitlines())
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("Percentage points")
    return figure, [f"Arrowhead: the interval goes on ({cut} of {len(shown)})."] if cut else []


def _rows(shown: pd.DataFrame, tables: Tables) -> tuple[dict[Cell, float], float]:
    """Where each data set and budget has its row, counted from the top, and where they end; a data set has room for its
    title."""
    rows: dict[Cell, float] = {}
    top = 0.0
    for dataset, of_one in shown.groupby("dataset", sort=False):
        budgets = sorted(of_one["epsilon"].unique())
        rows |= {(str(dataset), epsilon): top + k for k, epsilon in enumerate(budgets)}
        top += max(len(budgets), len(_lines(str(dataset), tables))) + BETWEEN
    return rows, top - BETWEEN


def _limit(shown: pd.DataFrame) -> float:
    """Of the axis, so that most of the intervals are on it, the margin in any case; a few are longer by far."""
    ends = shown[["mean", "low", "high"]].abs().max(axis="columns")
    return forests.limit(np.quantile(ends, WHOLE, method="higher"))


def _label(axes: Axes, rows: dict[Cell, float], tables: Tables, *, written: bool) -> None:
    """The budgets as ticks, the data sets to the left of them, and a hairline between these."""
    budgets = [f"ε = {epsilon:g}" for _, epsilon in rows]
    tops = {dataset: y for (dataset, _), y in reversed(rows.items())}
    axes.set_yticks(list(rows.values()), budgets if written else [])
    for top in tops.values():
        if top:
            axes.axhline(top - (1 + BETWEEN) / 2, color="0.85", linewidth=0.5, zorder=0)
    titles = {top + k: line for dataset, top in tops.items() for k, line in enumerate(_lines(dataset, tables))}
    left = max(map(forests.text_width, titles.values())) + max(map(forests.text_width, budgets)) + 3 * forests.GAP
    for y, line in titles.items() if written else ():
        forests.beside(axes, y, line, points=-left)


def _lines(dataset: str, tables: Tables) -> list[str]:
    return layout.wrapped(tables.titles[dataset], LABEL).splitlines()


def _forest(axes: Axes, cells: pd.DataFrame, method: str, rows: dict[Cell, float], tables: Tables) -> int:
    """One method's differences; how many are cut."""
    look, cut = tables.looks[method], 0
    for dataset, epsilon, mean, low, high in zip(*(cells[key] for key in COLUMNS), strict=True):
        y = rows[dataset, epsilon]
        cut += forests.interval(axes, y, *((low, high) if low <= high else (mean, mean)), color=look.color)
        axes.plot(mean, y, linestyle="none", **look.points(scale=0.75), zorder=4)
        forests.beside(axes, y, forests.number(mean), points=4)
    return cut
