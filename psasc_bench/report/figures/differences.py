"""Differences to the study's reference."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.analysis import MARGIN, p_text
from psasc_bench.report import drawing, layout, style
from psasc_bench.report.tables import Tables, percent

ROW = 0.125  # inches


def draw(tables: Tables) -> Figure:
    """Paired differences of final test accuracy to the study's reference, as a forest: a panel per data set, a row per
    budget and method, and beside it Holm's p with the verdict."""
    reference, title = tables.roles.reference, tables.reference_title()
    if reference is None:
        return layout.blank("the study has no method to compare others with")
    cells = tables.summary[~tables.summary["control"] & (tables.summary["method"] != reference)]
    datasets = [str(dataset) for dataset, of_one in cells.groupby("dataset", sort=False) if of_one["n_pairs"].any()]
    if not datasets:
        return layout.blank(f"no method has a finished run paired with one of {title}")
    cells = cells[cells["dataset"].isin(datasets)]
    methods = [method for method in tables.methods if method != reference]
    budgets = sorted(cells["epsilon"].unique())
    rows = len(budgets) * (len(methods) + 1)
    figure, panels = layout.panels(len(datasets), 1, height=max(ROW * rows + 0.35, layout.LOWEST))
    for dataset, (axes,) in zip(datasets, panels, strict=True):
        _rows(axes, budgets, methods)
        of_one = cells[cells["dataset"] == dataset]
        for k, epsilon in enumerate(budgets):
            at_budget = of_one[of_one["epsilon"] == epsilon]
            if at_budget["n_pairs"].any():  # what has not begun is said below
                _forest(axes, at_budget, methods, tables, first=k * (len(methods) + 1))
        axes.set_xlabel(f"Difference to {title}\n(percentage points)", parse_math=False)
        axes.set_title(tables.titles[dataset], parse_math=False)
    layout.align(panels, ["all"] * len(datasets), [""])
    notes = [
        tables.sample(tables.methods),
        "Paired by seed. Right: p, Holm-corrected as the intervals are not, and the verdict, if not inconclusive.",
        f"Shaded: the margin of a tie, ±{100 * MARGIN:g} points.",
    ]
    drawing.annotate(figure, tables, methods, [*notes, *tables.gaps()], lines=())
    return figure


def _rows(axes: Axes, budgets: list[float], methods: list[str]) -> None:
    """A row per method, in a block per budget with a free row above; the blocks are labelled, the legend has the
    methods."""
    block = len(methods) + 1
    middles = [-(k * block + (len(methods) - 1) / 2) for k in range(len(budgets))]
    axes.set_yticks(middles, [f"ε = {epsilon:g}" for epsilon in budgets])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(1 - len(budgets) * block, 1)
    for k in range(1, len(budgets)):
        axes.axhline(1 - k * block, color="0.85", linewidth=0.5, zorder=0)
    axes.axvline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="0.92", linewidth=0, zorder=0)


def _forest(axes: Axes, cells: pd.DataFrame, methods: list[str], tables: Tables, *, first: int) -> None:
    """The methods' differences at one budget, from row ``first`` down."""
    shown = percent(cells, "difference").assign(
        p=cells["difference_p_holm"], verdict=cells["verdict"], n=cells["n_pairs"]
    )
    for k, method in enumerate(methods):
        row, look = shown[shown["method"] == method], tables.looks[method]
        y = [-(first + k)] * len(row)
        axes.hlines(y, row["low"], row["high"], color=look.color, linewidth=0.9, zorder=2)
        axes.plot(row["mean"], y, linestyle="none", **look.points(), zorder=3)
        for n, p, verdict in zip(row["n"], row["p"], row["verdict"], strict=True):
            said = _said(n, p, verdict)
            axes.text(1.02, -(first + k), said, transform=axes.get_yaxis_transform(), va="center", fontsize=6)


def _said(pairs: int, p: float, verdict: str) -> str:
    if pairs == 0:
        return "no pair"
    if pairs == 1:
        return "one pair"
    found = "" if verdict == "inconclusive" else f", {verdict}"
    return "all equal" if math.isnan(p) else f"p {p_text(p)}{found}"
