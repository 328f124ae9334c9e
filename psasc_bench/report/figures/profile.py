"""How the methods stand over all data sets and budgets."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.analysis import performance_profiles, ranks
from psasc_bench.report import by_method, drawing, forests, layout, style
from psasc_bench.report.style import DOUBLE_COLUMN
from psasc_bench.report.tables import Tables

ROW = 0.14  # inches
LABEL = 24  # characters
KEYS = ("rank", "low", "high")


def draw(tables: Tables) -> Figure:
    """Performance profiles, and beside them mean ranks, which are their legend."""
    reference, title = tables.roles.reference, tables.reference_title()
    if reference is None:
        return layout.blank("the study has no method to compare others with")
    runs = tables.read("runs")
    profiles = performance_profiles(runs, reference)
    if profiles.empty:
        return layout.blank("no seed has a finished run of all methods at any budget")
    methods = [method for method in tables.methods if method in set(profiles["method"])]
    labels = [layout.wrapped(tables.method_titles[method], LABEL) for method in methods]
    figure = Figure(figsize=(DOUBLE_COLUMN, max(1.9, ROW * sum(forests.lines(labels))) + 0.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    banded = [method for method in methods if method in (reference, tables.roles.method)]
    shares = {
        method: 100 * rows.set_index("threshold")[["share", "low", "high"]].rename(columns={"share": "mean"})
        for method, rows in profiles.groupby("method", sort=False)
    }
    coloured = banded if by_method.many(methods) else methods
    for method in (name for name in methods if name not in coloured):
        left.plot(shares[method].index, shares[method]["mean"], color="0.75", linewidth=0.6, zorder=1)
    drawing.curves(left, {method: shares[method] for method in coloured}, tables, banded=banded)
    left.axvline(0, color=style.GREY, linewidth=0.6, zorder=1)
    left.margins(x=0)
    left.set(ylim=(0, 100), ylabel="Runs above the threshold (%)")
    left.set_xlabel(f"Threshold: points above the mean of {title}", parse_math=False)
    ranked = tables.read("ranks") if tables.dataset is None else ranks(runs)
    _ranks(right, ranked.set_index("method").loc[methods], labels, tables)
    notes = [
        f"Over {profiles['cells'].iloc[0]} pairs of data set and budget, and the seeds that all methods have finished.",
        "Left: share of runs whose final test accuracy is further above, mean over pairs.",
        f"Band: of {' and '.join(tables.method_titles[method] for method in banded)}.",
        *(["Grey: the others."] if coloured is banded else []),
        "Right: rank among the methods at the same seed, mean over data sets; 1 is the best.",
        "Intervals: 95 %, by bootstrap over seeds." if profiles["low"].notna().all() else "One seed has no interval.",
        *tables.gaps(),
    ]
    layout.annotate(figure, [], notes)
    return figure


def _ranks(axes: Axes, ranked: pd.DataFrame, labels: list[str], tables: Tables) -> None:
    places = forests.label(axes, labels)
    for y, method, rank, low, high in zip(places, ranked.index, *(ranked[key] for key in KEYS), strict=True):
        look = tables.looks[str(method)]
        axes.hlines(y, low, high, color=look.color, linewidth=0.9, zorder=2)
        axes.plot(rank, y, linestyle="none", **look.points(), zorder=3)
        forests.beside(axes, y, f"{rank:.1f} [{low:.1f}, {high:.1f}]" if low <= high else f"{rank:.1f}")
    axes.set_xlabel("Mean rank")
