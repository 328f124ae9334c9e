"""Claimed and proved epsilon."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import by_method, drawing, layout
from psasc_bench.report.tables import Tables


def draw(tables: Tables) -> Figure:
    """The epsilon that an attack proves against the epsilon that is claimed; a panel per schedule or, of many methods,
    per schedule and budget."""
    table = tables.read("audit").rename(columns={"epsilon_lower": "mean"}).assign(low=np.nan, high=np.nan)
    if table.empty:
        return layout.blank("no method was audited")
    schedules = zip(table["sampling_rate"], table["steps"], strict=True)
    table["band"] = [_schedule(sampling_rate, steps) for sampling_rate, steps in schedules]
    together = by_method.many(table["method"].unique())
    figure = _by_method(table, tables) if together else _by_budget(table, tables)
    confidence, trials = 100 * table["confidence"].min(), table["trials"].min()
    notes = [
        f"What a white-box attack proves ({trials:,} canaries in, as many out), at {confidence:g} % confidence each.",
        "Dashed: the claim. A bound below it does not prove it. All share random numbers, so sound methods agree.",
    ]
    refuted = table.loc[table["refuted"], "method"].unique()
    if len(refuted):
        notes.append(f"REFUTED: {', '.join(tables.method_titles[method] for method in refuted)}.")
    drawing.annotate(figure, tables, [] if together else set(table["method"]), notes, lines=())
    return figure


def _schedule(sampling_rate: float, steps: int) -> str:
    sampling = "No subsampling" if sampling_rate == 1 else f"Poisson sampling at rate {sampling_rate:g}"
    return f"{sampling}, {steps} steps"


def _by_method(table: pd.DataFrame, tables: Tables) -> Figure:
    def scale(axes: Axes, rows: pd.DataFrame) -> None:
        claimed, top = rows["epsilon_claimed"].max(), 1.15 * rows[["epsilon_claimed", "mean"]].max().max()
        axes.axvline(claimed, color="black", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        axes.axvspan(claimed, top, color="0.92", linewidth=0, zorder=-1)
        axes.set_xlim(-0.06 * top, top)

    figure, _ = by_method.forest(table, tables, scale=scale, text=lambda bound: f"{bound:.2f}", label="Lower bound")
    return figure


def _by_budget(table: pd.DataFrame, tables: Tables) -> Figure:
    budgets = sorted(table["epsilon"].unique())
    schedules = list(table.groupby("band", sort=False))
    figure, (column,) = layout.panels(1, len(schedules))
    width = 72 * 0.75 * figure.get_figwidth()
    for (schedule, rows), axes in zip(schedules, column, strict=True):
        drawing.budget_axis(axes, budgets)
        top = 1.15 * max(rows["epsilon_claimed"].max(), rows["mean"].max())
        drawing.claims(axes, list(rows.groupby("epsilon")["epsilon_claimed"].max()), top=top)
        drawing.points(axes, rows, budgets, tables, width=width)
        axes.set(title=str(schedule), ylabel="Lower bound on $\\varepsilon$")
    for axes in column[:-1]:
        axes.tick_params(labelbottom=False)
    column[-1].set_xlabel(f"Privacy budget $\\varepsilon$ ($\\delta={layout.power(table['delta'].max())}$)")
    return figure
