"""Gradient norms by epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout
from psasc_bench.report.tables import Tables, averages, extremes

QUANTILES = ("q10", "q50", "q90")
LEAST = 1e-12  # of a norm, which has a logarithm
MOST = 6  # panels
Cell = tuple[str, float]


def draw(tables: Tables) -> Figure:
    """A panel per data set and budget: by epoch, the median of the examples' gradient norms in the runs of each method;
    of the reference and the method under test also the 10th to 90th percentile, and the norm at which their weight
    peaks."""
    curves, weights = tables.curves, tables.weights
    shown = [method for method in tables.methods if len(curves) and method in set(curves["method"])]
    if not shown:
        return layout.blank("no run of a private method has finished")
    low, middle, high = (averages(curves[f"nonprivate_norm_{q}"].clip(lower=LEAST), curves) for q in QUANTILES)
    chosen, others = cells([cell for cell in tables.dataset_budgets if any((*cell, name) in middle for name in shown)])
    banded = [name for name in shown if name in (tables.roles.reference, tables.roles.method)]
    peaks = _peaks(weights)
    groups = drawing.groups(shown)
    figure, panels = layout.panels(len(chosen), len(groups), height=1.5 if len(groups) == 1 else 1.1)
    for cell, column in zip(chosen, panels, strict=True):
        for axes, group in zip(column, groups, strict=True):
            there = {name: (*cell, name) for name in group if (*cell, name) in middle}
            norms = {
                name: middle[key].assign(low=low[key]["mean"], high=high[key]["mean"]) for name, key in there.items()
            }
            drawing.curves(axes, norms, tables, banded=banded)
            for method in (name for name in banded if name in group):
                if peak := peaks.get((cell[0], method)):
                    color = tables.looks[method].color
                    axes.axhline(peak, color=color, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
            axes.set(yscale="log", ylim=(weights["norm"].min(), weights["norm"].max()))
        column[-1].set_xlabel("Epoch")
        layout.heading(column[0], tables.title(*cell))
    layout.align(panels, ["all"] * len(panels), ["Gradient norm"] * len(groups))
    notes = ["Gradient norms, not private: the median over the examples, averaged over seeds."]
    if banded:
        titles = " and ".join(tables.method_titles[name] for name in banded)
        notes.append(f"Shaded, of {titles}: 10th to 90th percentile.")
    if any(name in banded for _, name in peaks):
        notes.append("Dashed: where the weight of the method with this colour peaks.")
    if others:
        notes.append(f"Not shown for want of room: {'; '.join(tables.titles[dataset] for dataset, _ in others)}.")
    for axes, group in zip(panels[-1], groups, strict=True) if len(groups) > 1 else ():
        drawing.key(axes, group, tables)
    drawing.annotate(figure, tables, shown if len(groups) == 1 else [], [*notes, *tables.gaps()])
    return figure


def cells(there: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Of each data set the smallest and the largest budget or, where these are too many, the one nearest to that which
    most data sets have; and those that there is still no room for."""
    chosen = extremes(there)
    if len(chosen) > MOST:
        counts = Counter(epsilon for _, epsilon in there)
        common = max(sorted(counts), key=counts.__getitem__)
        nearest = dict(sorted(there, key=lambda cell: abs(cell[1] - common), reverse=True))
        chosen = [(dataset, nearest[dataset]) for dataset in dict.fromkeys(dataset for dataset, _ in there)]
    return chosen[:MOST], chosen[MOST:]


def _peaks(weights: pd.DataFrame) -> dict[tuple[str, str], float]:
    """By data set and method, the norm at which the weight is highest; none for a weight that never rises."""
    highest = weights.loc[weights.groupby(["dataset", "method"])["weight"].idxmax()]
    highest = highest[highest["norm"] > weights["norm"].min()]
    return dict(zip(zip(highest["dataset"], highest["method"], strict=True), highest["norm"], strict=True))
