"""Our accuracies beside published ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.analysis import beside_published
from psasc_bench.report import forests, layout
from psasc_bench.report.style import DOUBLE_COLUMN
from psasc_bench.report.tables import Tables, sample

ROW = 0.135  # inches
LABEL = 40  # characters


def draw(tables: Tables) -> Figure:
    """Final test accuracy of the methods beside what has been published for the same cell, and how far ours is from
    that: two forests a data set, with a block per budget and method, in it a row for ours and one for each source."""
    cells = tables.finished[~tables.finished["control"]]
    compared = beside_published(cells, tables.published)
    if compared.empty:
        return layout.blank("no published accuracy is of a cell that has a finished run")
    blocks = {str(name): _blocks(rows, tables) for name, rows in compared.groupby("dataset", sort=False)}
    rows = [sum(forests.lines(_labels(of_one))) for of_one in blocks.values()]
    figure = Figure(figsize=(DOUBLE_COLUMN, ROW * sum(rows) + 0.3 * len(rows) + 1.0), layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False, height_ratios=rows)
    limit = forests.limit(compared[["difference", "low", "high"]].abs().max().max())
    for (dataset, of_one), (left, right) in zip(blocks.items(), panels, strict=True):
        forests.prepare(right, limit=limit)
        _draw(left, right, of_one, tables)
        layout.heading(left, tables.titles[dataset])
        right.tick_params(labelbottom=right is panels[-1, 1])
    panels[-1, 0].set_xlabel("Test accuracy (%)")
    panels[-1, 1].set_xlabel("Ours minus published (percentage points)")
    notes = [
        "Filled: ours.",
        sample(compared["n"]),
        "Hollow: published, with the interval of the source, where it has one.",
        "Right: ours minus published, with the 95 % interval of Welch's t-test.",
        forests.MARGIN_TEXT,
    ]
    layout.annotate(figure, [], notes)
    return figure


def _blocks(rows: pd.DataFrame, tables: Tables) -> list[pd.DataFrame]:
    """The rows of one data set by budget and method, each in their order."""
    cells = [cell for _, cell in rows.groupby(["epsilon", "method"])]
    return sorted(cells, key=lambda cell: (cell["epsilon"].iloc[0], tables.methods.index(cell["method"].iloc[0])))


def _draw(left: Axes, right: Axes, blocks: list[pd.DataFrame], tables: Tables) -> None:
    places = iter(forests.label(left, _labels(blocks)))
    right.set(yticks=[], ylim=left.get_ylim())
    for block in blocks:
        ours, look, top = block.iloc[0], tables.looks[block["method"].iloc[0]], next(places)
        hollow = look.points() | {"markerfacecolor": "white"}
        _row(left, top, ours["ours"], ours["half_width_ours"], look.color, look.points())
        for (_, source), y in zip(block.iterrows(), places, strict=False):
            _row(left, y, source["published"], source["half_width"], look.color, hollow)
            forests.interval(right, y, source["low"], source["high"], color=look.color)
            right.plot(source["difference"], y, linestyle="none", **look.points(), zorder=4)
            forests.beside(right, y, forests.estimate(source["difference"], source["low"], source["high"]))
        for axes in (left, right) if block is not blocks[-1] else ():
            axes.axhline(y + 0.5, color="0.85", linewidth=0.5, zorder=0)


def _labels(blocks: list[pd.DataFrame]) -> list[str]:
    titles = [f"{block['method_title'].iloc[0]}, ε = {block['epsilon'].iloc[0]:g}: ours" for block in blocks]
    of_blocks = [[title, *block["source"]] for title, block in zip(titles, blocks, strict=True)]
    return [layout.wrapped(label, LABEL) for labels in of_blocks for label in labels]


def _row(axes: Axes, y: float, mean: float, half_width: float, color: str, points: dict[str, Any]) -> None:
    axes.hlines(y, mean - half_width, mean + half_width, color=color, linewidth=0.9, zorder=2)
    axes.plot(mean, y, linestyle="none", **points, zorder=4)
