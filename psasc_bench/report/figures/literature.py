"""Our accuracies beside published ones."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.analysis import beside_published
from psasc_bench.report import drawing, layout
from psasc_bench.report.tables import Tables, sample

ROW = 0.125  # inches


def draw(tables: Tables) -> Figure:
    """Final test accuracy of the methods beside what has been published for the same cell, as a forest: a panel per
    data set, a block per budget and method with a row for ours and one for each source."""
    cells = tables.finished[~tables.finished["control"]]
    compared = beside_published(cells, tables.published)
    if compared.empty:
        return layout.blank("no published accuracy is of a cell that has a finished run")
    blocks = {str(name): _blocks(rows, tables) for name, rows in compared.groupby("dataset", sort=False)}
    most = max(sum(1 + len(block) for block in of_one) for of_one in blocks.values())
    figure, panels = layout.panels(len(blocks), 1, height=max(ROW * most + 0.4, layout.LOWEST))
    for (dataset, of_one), (axes,) in zip(blocks.items(), panels, strict=True):
        _forest(axes, of_one, tables)
        axes.set_title(tables.titles[dataset], parse_math=False)
        axes.set_xlabel("Test accuracy (%)")
    notes = [
        sample(compared["n"]),
        "Hollow: published, with the interval of the source, where it has one. Right: ours less published, in points;",
        "apart: the two intervals do not meet.",
    ]
    drawing.annotate(figure, tables, compared["method"].unique().tolist(), notes, lines=())
    return figure


def _blocks(rows: pd.DataFrame, tables: Tables) -> list[pd.DataFrame]:
    """The rows of one data set by budget and method, each in their order."""
    cells = [cell for _, cell in rows.groupby(["epsilon", "method"])]
    return sorted(cells, key=lambda cell: (cell["epsilon"].iloc[0], tables.methods.index(cell["method"].iloc[0])))


def _forest(axes: Axes, blocks: list[pd.DataFrame], tables: Tables) -> None:
    labels: list[str] = []
    for block in blocks:
        look, top = tables.looks[block["method"].iloc[0]], -len(labels)
        ours = block.iloc[0]
        _row(axes, top, ours["ours"], ours["half_width_ours"], look.color, look.points())
        hollow = look.points() | {"markerfacecolor": "white"}
        for y, (_, source) in enumerate(block.iterrows(), start=1):
            _row(axes, top - y, source["published"], source["half_width"], look.color, hollow)
            apart = "" if pd.isna(source["agrees"]) or source["agrees"] else ", apart"
            said = f"{source['difference']:+z.2f}{apart}"
            axes.text(1.02, top - y, said, transform=axes.get_yaxis_transform(), va="center", fontsize=6)
        labels += [f"{ours['method_title']}, ε = {ours['epsilon']:g}: ours", *block["source"]]
        axes.axhline(0.5 - len(labels), color="0.85", linewidth=0.5, zorder=0)
    axes.set_yticks([-y for y in range(len(labels))], labels, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(0.5 - len(labels), 0.7)


def _row(axes: Axes, y: float, mean: float, half_width: float, color: str, points: dict[str, Any]) -> None:
    axes.hlines(y, mean - half_width, mean + half_width, color=color, linewidth=0.9, zorder=2)
    axes.plot(mean, y, linestyle="none", **points, zorder=3)
