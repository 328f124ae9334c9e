"""What stands in a figure: curves, bands, points and yardsticks, each method in its own look, legend and notes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import layout
from psasc_bench.report.tables import Tables

MOST_CURVES, MOST_TO_A_PANEL = 8, 6


def curve(axes: Axes, x: pd.Series | pd.Index, y: pd.Series, method: str, tables: Tables) -> None:
    """A line with a few markers, at other places than the other methods' so that lines that coincide are seen."""
    order = list(tables.looks).index(method)
    every = max(1, len(y) // 4)
    start = order * every // len(tables.looks)
    look = tables.looks[method]
    axes.plot(x, y, **look.line(), **look.points(edge="white"), markevery=(start, every), zorder=2 + order / 100)


def groups(methods: Sequence[str]) -> list[list[str]]:
    """All methods whose curves can be told apart in one panel or, of more, as many to a panel as can."""
    panels = 1 if len(methods) <= MOST_CURVES else math.ceil(len(methods) / MOST_TO_A_PANEL)
    return [[str(method) for method in group] for group in np.array_split(list(methods), panels)]


def key(axes: Axes, methods: Sequence[str], tables: Tables) -> None:
    """To the right of a panel, what its curves are."""
    handles = [layout.handle(tables.method_titles[method], tables.looks[method], line=True) for method in methods]
    layout.key(axes, handles)


def band(axes: Axes, averages: pd.DataFrame | None, method: str, tables: Tables) -> None:
    """A curve of means in the band of their intervals; nothing where there are no ``averages``."""
    if averages is None:
        return
    color = tables.looks[method].color
    axes.fill_between(averages.index, averages["low"], averages["high"], color=color, alpha=0.15, linewidth=0)
    curve(axes, averages.index, averages["mean"], method, tables)


def curves(axes: Axes, averages: Mapping[str, pd.DataFrame], tables: Tables, *, banded: Collection[str]) -> None:
    """The curves of means, by method; in the band of their intervals only those that are to be ``banded``, for the
    bands of all would hide each other."""
    for method, of_one in averages.items():
        if method in banded:
            band(axes, of_one, method, tables)
        else:
            curve(axes, of_one.index, of_one["mean"], method, tables)


def budget_axis(axes: Axes, budgets: list[float]) -> None:
    """Budgets side by side at equal distances, with a hairline between neighbours."""
    axes.set_xlim(-0.5, max(len(budgets), 1) - 0.5)
    axes.set_xticks(range(len(budgets)), [f"{epsilon:g}" for epsilon in budgets])
    axes.tick_params(axis="x", length=0)
    for i in range(1, len(budgets)):
        axes.axvline(i - 0.5, color="0.85", linewidth=0.5, zorder=0)


def points(axes: Axes, cells: pd.DataFrame, budgets: list[float], tables: Tables, *, width: float) -> None:
    """Means with their intervals; the methods at a budget side by side, so that no interval covers another and, in a
    panel of this ``width`` in points, as far as can be no marker either."""
    room = width * _step(tables) / max(len(budgets), 1)
    for method in tables.methods:
        rows, look = cells[cells["method"] == method], tables.looks[method]
        places = [_place(method, epsilon, budgets, tables) for epsilon in rows["epsilon"]]
        axes.vlines(places, rows["low"], rows["high"], color=look.color, linewidth=0.9, zorder=2)
        axes.plot(places, rows["mean"], linestyle="none", **look.points(scale=min(1, max(0.5, room / 5))), zorder=3)


def _step(tables: Tables) -> float:
    """Between neighbouring methods at a budget; that to the next budget is 1."""
    return min(0.15, 0.8 / max(len(tables.methods), 1))


def _place(method: str, epsilon: float, budgets: list[float], tables: Tables) -> float:
    k = tables.methods.index(method) - (len(tables.methods) - 1) / 2
    return budgets.index(epsilon) + _step(tables) * k


def yardsticks(axes: Axes, controls: pd.DataFrame, budgets: list[float], tables: Tables) -> None:
    """Grey lines with bands: right across for runs without a budget, from budget to budget for runs with one. The bands
    do not widen the axis: of two seeds, one could be wider than all that the panel is about."""
    lines = {}
    for method, rows in controls.sort_values("epsilon").groupby("method"):
        if np.isinf(rows["epsilon"]).any():
            lines[str(method)] = rows.iloc[[-1, -1]].assign(place=[-0.5, max(len(budgets), 1) - 0.5])
        else:
            lines[str(method)] = rows.assign(place=[budgets.index(epsilon) for epsilon in rows["epsilon"]])
    for method, rows in lines.items():
        look = tables.looks[method]
        axes.plot(rows["place"], rows["mean"], **look.line(), **look.points(), zorder=1)
    axes.set_ylim(axes.get_ylim())
    for method, rows in lines.items():
        color = tables.looks[method].color
        axes.fill_between(rows["place"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0, zorder=0)


def claims(axes: Axes, epsilons: list[float], *, top: float) -> None:
    """A dashed step at the claimed epsilon of every budget, and above it, shaded up to ``top``, what would refute the
    claim."""
    edges = [i - 0.5 for i in range(len(epsilons) + 1)]
    axes.stairs(epsilons, edges, baseline=None, color="black", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    axes.stairs([top] * len(epsilons), edges, baseline=epsilons, fill=True, color="0.92", linewidth=0, zorder=-1)
    axes.text(edges[0], 0.98 * top, " Above the claim: refuted", va="top")
    axes.set_ylim(-0.06 * top, top)  # room for markers at 0


def annotate(
    figure: Figure,
    tables: Tables,
    shown: Collection[str],
    notes: Sequence[str],
    *,
    lines: Collection[str] | None = None,
) -> None:
    """Legend and notes. ``lines``: the methods that are drawn as lines; all if not given."""
    handles = [
        layout.handle(tables.method_titles[method], look, line=lines is None or method in lines)
        for method, look in tables.looks.items()
        if method in shown
    ]
    layout.annotate(figure, handles, notes)
