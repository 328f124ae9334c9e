"""What stands in a panel: curves, bands, points and yardsticks, each method in its own look."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from psasc_bench.tables import Tables


def curve(axes: Axes, x: pd.Series | pd.Index, y: pd.Series, method: str, tables: Tables) -> None:
    """A line with a few markers, at other places than the other methods' so that lines that coincide are seen."""
    order = list(tables.looks).index(method)
    every = max(1, len(y) // 4)
    start = round((order + 0.5) * every / len(tables.looks))
    look = tables.looks[method]
    axes.plot(x, y, **look.line(), **look.points(edge="white"), markevery=(start, every), zorder=2 + order / 100)


def band(axes: Axes, averages: pd.DataFrame | None, method: str, tables: Tables) -> None:
    """A curve of means in the band of their intervals; nothing where there are no ``averages``."""
    if averages is None:
        return
    color = tables.looks[method].color
    axes.fill_between(averages.index, averages["low"], averages["high"], color=color, alpha=0.15, linewidth=0)
    curve(axes, averages.index, averages["mean"], method, tables)


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
    count = len(tables.contestants)
    step = min(0.15, 0.8 / max(count, 1))
    room = width * step / max(len(budgets), 1)
    for k, method in enumerate(tables.contestants):
        rows, look = cells[cells["method"] == method], tables.looks[method]
        places = [budgets.index(epsilon) + step * (k - (count - 1) / 2) for epsilon in rows["epsilon"]]
        axes.vlines(places, rows["low"], rows["high"], color=look.color, linewidth=0.9, zorder=2)
        axes.plot(places, rows["mean"], linestyle="none", **look.points(scale=min(1, max(0.5, room / 5))), zorder=3)


def yardsticks(axes: Axes, controls: pd.DataFrame, budgets: list[float], tables: Tables) -> None:
    """Grey lines with bands: right across for runs without a budget, from budget to budget for runs with one."""
    for method, rows in controls.sort_values("epsilon").groupby("method"):
        look = tables.looks[str(method)]
        if np.isinf(rows["epsilon"]).any():
            rows = rows.iloc[[-1, -1]].assign(place=[-0.5, len(budgets) - 0.5])
        else:
            rows = rows.assign(place=[budgets.index(epsilon) for epsilon in rows["epsilon"]])
        axes.plot(rows["place"], rows["mean"], **look.line(), **look.points(), zorder=1)
        axes.fill_between(rows["place"], rows["low"], rows["high"], color=look.color, alpha=0.2, linewidth=0, zorder=0)


def claims(axes: Axes, epsilons: list[float], *, top: float) -> None:
    """A dashed step at the claimed epsilon of every budget, and above it, shaded up to ``top``, what would refute the
    claim."""
    edges = [i - 0.5 for i in range(len(epsilons) + 1)]
    axes.stairs(epsilons, edges, baseline=None, color="black", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    axes.stairs([top] * len(epsilons), edges, baseline=epsilons, fill=True, color="0.92", linewidth=0, zorder=-1)
    axes.text(edges[0], 0.98 * top, " Above the claim: refuted", va="top")
    axes.set_ylim(-0.06 * top, top)  # room for markers at 0
