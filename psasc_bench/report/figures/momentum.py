"""What inner momentum does to the accuracy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from psasc_bench.analysis import RUN, accuracies, t_interval
from psasc_bench.report import layout, style
from psasc_bench.report.tables import Tables, unfinished

VARIED = {"iterates", "decay", "epochs"}  # a trial that varies anything else compares something else
NEAR = 0.02  # of a number of steps, which comes of whole epochs
COMPARISONS = {"steps": "equal steps", "compute": "equal computing"}


def draw(tables: Tables) -> Figure:
    """Paired differences to the same method without inner momentum; a panel per data set, budget and comparison."""
    differences = _differences(tables)
    if differences.empty:
        others = tables.left_out("sweeps")
        return layout.blank("no sweep has a finished run of inner momentum paired with one without", others)
    decays, iterates = (sorted(differences[key].unique()) for key in ("decay", "iterates"))
    found = dict.fromkeys(zip(*(differences[key] for key in ("dataset", "epsilon", "comparison")), strict=True))
    cells = dict.fromkeys((dataset, epsilon) for dataset, epsilon, _ in found)
    wanted = [(*cell, one) for cell, one in itertools.product(cells, COMPARISONS) if (*cell, one) in found]
    figure, columns = layout.panels(len(wanted), 1, abreast=4, height=1.8)
    for (dataset, epsilon, comparison), (axes,) in zip(wanted, columns, strict=True):
        of_one = (differences["dataset"] == dataset) & (differences["epsilon"] == epsilon)
        _points(axes, differences[of_one & (differences["comparison"] == comparison)], decays, iterates, tables)
        layout.heading(axes, f"{tables.title(dataset, epsilon)},", COMPARISONS[comparison])
        axes.set_xlabel("Decay $\\beta$")
    layout.align(columns, [str(panel) for panel in wanted], ["Difference to k = 1\n(percentage points)"])
    seeds = differences.groupby(["dataset", "epsilon", "method", "settings"]).size()
    many = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    notes = [
        "Test accuracy with inner momentum over k iterates minus that without, paired by seed: mean and 95 %",
        f"t-interval over {many} seeds. Equal steps: k times as many gradients. Equal computing: k times fewer steps.",
        *tables.left_out("sweeps"),
        *unfinished(_tested(tables)["status"].value_counts()),
    ]
    methods = [method for method in tables.methods if method in set(differences["method"])]
    handles = [
        Line2D([], [], **_look(method, k, iterates, tables), label=f"{tables.method_titles[method]}, k = {k:g}")
        for method, k in itertools.product(methods, iterates)
    ]
    layout.annotate(figure, handles, notes)
    return figure


def _differences(tables: Tables) -> pd.DataFrame:
    """The accuracy of every run with more than one iterate minus that of the same seed with one, of a sweep or else of
    the study, as ``difference``; in ``comparison``, what the two have in common."""
    tested = _tested(tables)
    if tested.empty:
        return tested
    tested = accuracies(tested, "accuracy")
    study = accuracies(tables.read("runs"))
    plain = pd.concat([tested[tested["iterates"] == 1], study]).dropna(subset="value").drop_duplicates(RUN)
    both = tested[tested["iterates"] > 1].merge(plain[[*RUN, "value", "steps_taken"]], on=RUN, suffixes=("", "_plain"))
    steps = both["steps_taken"] / both["steps_taken_plain"]
    both["difference"] = both["value"] - both["value_plain"]
    both["comparison"] = np.select(
        [(steps - 1).abs() < NEAR, (steps * both["iterates"] - 1).abs() < NEAR], list(COMPARISONS), default=""
    )
    found: pd.DataFrame = both[both["comparison"].ne("") & both["difference"].notna()]
    return found


def _tested(tables: Tables) -> pd.DataFrame:
    """The runs of sweeps over inner momentum that were evaluated on test examples."""
    sweeps = tables.requested("sweeps")
    if sweeps.empty:
        return sweeps
    varied = sweeps["settings"].str.findall(r"(\w+)=").map(set)
    return sweeps[(sweeps["evaluation"] == "test") & (varied <= VARIED)]


def _points(axes: Axes, rows: pd.DataFrame, decays: list[float], iterates: list[float], tables: Tables) -> None:
    """Means with their intervals, at a decay the methods and numbers of iterates side by side."""
    series = list(itertools.product([m for m in tables.methods if m in set(rows["method"])], iterates))
    step = 0.6 / max(len(series), 1)
    for i, (method, k) in enumerate(series):
        of_one = rows[(rows["method"] == method) & (rows["iterates"] == k)]
        for at, decay in enumerate(decays):
            place = at + step * (i - (len(series) - 1) / 2)
            differences = 100 * of_one.loc[of_one["decay"] == decay, "difference"].to_numpy(dtype=float)
            mean, low, high = t_interval(differences)
            axes.vlines(place, low, high, color=tables.looks[method].color, linewidth=0.9, zorder=2)
            axes.plot(place, mean, **_look(method, k, iterates, tables), zorder=3)
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.set_xticks(range(len(decays)), [f"{decay:g}" for decay in decays])
    axes.set_xlim(-0.5, len(decays) - 0.5)


def _look(method: str, k: float, iterates: list[float], tables: Tables) -> dict[str, Any]:
    """The method's own marker, the fuller the more iterates."""
    color = tables.looks[method].color
    fullness = iterates.index(k) / max(len(iterates) - 1, 1)
    face = [1 - fullness * (1 - part) for part in to_rgb(color)]
    return {"linestyle": "none", "color": color, **tables.looks[method].points(), "markerfacecolor": face}
