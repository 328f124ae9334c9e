"""A row per method and a panel per budget: how many methods are shown, too many to stand side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import forests, layout
from psasc_bench.report.style import DOUBLE_COLUMN
from psasc_bench.report.tables import Tables

MANY = 8  # methods, at most, that are told apart side by side
ABREAST = 4  # budgets
ROW = 0.135  # inches
LABEL = 26  # characters
COLUMNS = ("method", "mean", "low", "high")


def many(methods: Collection[str]) -> bool:
    return len(methods) > MANY


def forest(
    cells: pd.DataFrame,
    tables: Tables,
    *,
    scale: Callable[[Axes, pd.DataFrame], None],
    text: Callable[[float], str],
    label: str,
) -> tuple[Figure, list[str]]:
    """A figure of the ``mean``, ``low`` and ``high`` of ``cells`` (``band``, ``epsilon``, ``method``), with ``text`` of
    the mean beside each; ``band`` is the title of cells whose budgets are side by side. ``scale`` gives a panel its
    axis, which ``label`` is of. Also what is to be said of the figure."""
    bands = list(_bands(cells, tables))
    labels = [[layout.wrapped(tables.method_titles[method], LABEL) for method in methods] for _, _, methods in bands]
    heights = [sum(forests.lines(of_band)) for of_band in labels]
    figure = Figure(figsize=(DOUBLE_COLUMN, ROW * sum(heights) + 0.5 * len(bands) + 0.5), layout="constrained")
    grid = figure.subplots(
        len(bands), max(len(budgets) for _, budgets, _ in bands), squeeze=False, height_ratios=heights
    )
    cut = 0
    for (band, budgets, methods), of_band, panels in zip(bands, labels, grid, strict=True):
        for axes in panels[len(budgets) :]:
            axes.remove()
        places = dict(zip(methods, forests.label(panels[0], of_band), strict=True))
        for epsilon, axes in zip(budgets, panels, strict=False):
            rows = cells[(cells["band"] == band) & (cells["epsilon"] == epsilon)]
            scale(axes, rows)
            if axes is not panels[0]:
                axes.set(yticks=[], ylim=panels[0].get_ylim())
            cut += _rows(axes, rows, places, tables, text)
            axes.locator_params(axis="x", nbins=3)
            axes.set_xlabel(label)
            layout.heading(axes, band if axes is panels[0] else "", f"ε = {epsilon:g}")
    return figure, [f"Arrowhead: the interval goes on ({cut} of {len(cells)})."] if cut else []


def _bands(cells: pd.DataFrame, tables: Tables) -> Iterator[tuple[str, list[float], list[str]]]:
    """Each with so many of its budgets as stand side by side, and its methods."""
    for band, rows in cells.groupby("band", sort=False):
        budgets = sorted(rows["epsilon"].unique())
        methods = [method for method in tables.methods if method in set(rows["method"])]
        for first in range(0, len(budgets), ABREAST):
            yield str(band), budgets[first : first + ABREAST], methods


def _rows(
    axes: Axes, rows: pd.DataFrame, places: dict[str, float], tables: Tables, text: Callable[[float], str]
) -> int:
    """A panel's; how many intervals are cut."""
    cut = 0
    for method, mean, low, high in zip(*(rows[key] for key in COLUMNS), strict=True):
        y, look = places[method], tables.looks[method]
        ends = (low, high) if low <= high else (mean, mean)
        cut += forests.interval(axes, y, *ends, color=look.color)
        axes.axhline(y, color="0.93", linewidth=0.5, zorder=0)
        axes.plot(mean, y, linestyle="none", **look.points(scale=0.75), zorder=4)
        forests.beside(axes, y, text(mean), points=4)
    return cut
