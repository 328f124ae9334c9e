"""Gradient norms by epoch."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout, style
from psasc_bench.report.tables import Tables, averages, extremes

QUANTILES = ("q10", "q50", "q90")
TITLE = 16  # characters that a panel is high


def draw(tables: Tables) -> Figure:
    """A row per data set and budget: for each method, the 10th to 90th percentile of the examples' gradient norms by
    epoch, with the norm at which its weight peaks, and beside them, for all, the share of examples below that."""
    cells, curves, weights = extremes(tables.dataset_budgets), tables.curves, tables.read("weights")
    shown = [method for method in tables.methods if len(curves) and method in set(curves["method"])]
    if not shown:
        return layout.blank("no run of a private method has finished")
    quantiles = [averages(curves[f"nonprivate_norm_{q}"], curves) for q in QUANTILES]
    shares = averages(100 * curves["nonprivate_below_peak"], curves)
    peaks = _peaks(tables.weights)
    columns = len(shown) + 1
    figure, panels = layout.panels(columns, len(cells), abreast=columns, height=1.05)
    for row, (dataset, epsilon) in enumerate(cells):
        share = panels[-1][row]
        for method, column in zip(shown, panels, strict=False):
            key = (dataset, epsilon, method)
            column[row].set(yscale="log", ylim=(weights["norm"].min(), weights["norm"].max()))
            _band(column[row], [of_one.get(key) for of_one in quantiles], method, tables)
            if (peak := peaks.get((dataset, method))) and key in shares:
                column[row].axhline(peak, color="black", linewidth=0.7, linestyle=(0, (4, 2)), zorder=3)
                drawing.band(share, shares.get(key), method, tables)
        share.set_ylim(0, 100)
    for title, column in zip(
        [*(tables.method_titles[method] for method in shown), "Below peak (%)"], panels, strict=True
    ):
        layout.heading(column[0], title)
        column[-1].set_xlabel("Epoch")
    labels = [f"{textwrap.fill(tables.titles[dataset], TITLE)}\nε = {epsilon:g}, norm" for dataset, epsilon in cells]
    layout.align(panels, [*["norms"] * len(shown), "share"], labels)
    for axes in figure.axes:
        axes.tick_params(labelbottom=True)  # data sets differ in epochs
    notes = [
        "Gradient norms of the examples, not private: 10th to 90th percentile and median, means over seeds.",
        "Dashed: where the method's weight peaks, if it ever rises. Right: share of the examples below that, with its "
        "95 % t-interval. Of each data set its smallest and largest budget.",
        *tables.gaps(),
    ]
    drawing.annotate(figure, tables, shown, notes)
    return figure


def _peaks(weights: pd.DataFrame) -> dict[tuple[str, str], float]:
    """By data set and method, the norm at which the weight is highest; none for a weight that never rises."""
    highest = weights.loc[weights.groupby(["dataset", "method"])["weight"].idxmax()]
    highest = highest[highest["norm"] > weights["norm"].min()]
    return dict(zip(zip(highest["dataset"], highest["method"], strict=True), highest["norm"], strict=True))


def _band(axes: Axes, quantiles: list[pd.DataFrame | None], method: str, tables: Tables) -> None:
    low, middle, high = quantiles
    if low is None or middle is None or high is None:
        axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", color=style.GREY)
        return
    color = tables.looks[method].color
    axes.fill_between(low.index, low["mean"].clip(lower=1e-12), high["mean"], color=color, alpha=0.25, linewidth=0)
    drawing.curve(axes, middle.index, middle["mean"], method, tables)
