"""What a training step costs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from psasc_bench.report import layout, style
from psasc_bench.report.tables import Tables

OURS = "psasc-bench"


def draw(tables: Tables) -> Figure:
    """Ratios to the fastest ordinary step of the same round: a panel per model and batch, a row per implementation."""
    costs = tables.read("cost")
    if costs.empty:
        return layout.blank("no step was timed")
    names = list(costs["contestant"].unique())
    problems = list(costs.groupby(["model", "batch"], sort=False))
    figure, columns = layout.panels(len(problems), 1, height=0.14 * len(names) + 0.55)
    for ((model, batch), rows), (axes,) in zip(problems, columns, strict=True):
        _forest(axes, rows, names)
        axes.set_title(f"{model}, batch {batch}", parse_math=False)
        axes.set_xlabel("Time of a step (ratio)")
    layout.align(columns, ["all"] * len(columns), [""])
    notes = [
        "Gradient of a step, without noise and update: ratio to the fastest ordinary step of the same round (line),",
        "median and quartiles over rounds in which all take turns, so that other work on the machine slows all.",
        "Filled: this suite.",
    ]
    layout.annotate(figure, [], notes)
    return figure


def _forest(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    places = -rows["contestant"].map(names.index)
    ours = rows["contestant"].str.startswith(OURS)
    axes.hlines(places, rows["q25"], rows["q75"], color="black", linewidth=0.9, zorder=2)
    for of_us, face in ((True, "black"), (False, "white")):
        shown = ours == of_us
        axes.plot(
            rows.loc[shown, "median"], places[shown], "o", color="black", markerfacecolor=face, markersize=3.8, zorder=3
        )
    for place, median in zip(places, rows["median"], strict=True):
        said = "none" if math.isnan(median) else f"{median:.2f}"
        axes.text(1.02, place, said, transform=axes.get_yaxis_transform(), va="center", fontsize=6)
    axes.axvline(1, color=style.GREY, linewidth=0.6, zorder=1)
    axes.set(xscale="log", ylim=(0.5 - len(names), 0.5))
    axes.set_yticks(-np.arange(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
