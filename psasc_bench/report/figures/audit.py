"""Claimed and proved epsilon."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout
from psasc_bench.report.tables import Tables


def draw(tables: Tables) -> Figure:
    """The epsilon that an attack proves against the epsilon that is claimed; a panel per schedule."""
    table = tables.read("audit").rename(columns={"epsilon_lower": "mean"}).assign(low=np.nan, high=np.nan)
    if table.empty:
        return layout.blank("no method was audited")
    budgets = sorted(table["epsilon"].unique())
    schedules = list(table.groupby(["sampling_rate", "steps"], sort=False))
    figure, (column,) = layout.panels(1, len(schedules))
    width = 72 * 0.75 * figure.get_figwidth()
    for ((sampling_rate, steps), rows), axes in zip(schedules, column, strict=True):
        drawing.budget_axis(axes, budgets)
        top = 1.15 * max(rows["epsilon_claimed"].max(), rows["mean"].max())
        drawing.claims(axes, list(rows.groupby("epsilon")["epsilon_claimed"].max()), top=top)
        drawing.points(axes, rows, budgets, tables, width=width)
        sampling = "No subsampling" if sampling_rate == 1 else f"Poisson sampling at rate {sampling_rate:g}"
        axes.set(title=f"{sampling}, {steps} steps", ylabel="Lower bound on $\\varepsilon$")
    for axes in column[:-1]:
        axes.tick_params(labelbottom=False)
    column[-1].set_xlabel(f"Privacy budget $\\varepsilon$ ($\\delta={layout.power(table['delta'].max())}$)")
    confidence, trials = 100 * table["confidence"].min(), table["trials"].min()
    notes = [
        f"What a white-box attack proves ({trials:,} canaries in, as many out), at {confidence:g} % confidence each.",
        "Dashed: the claim. A bound below it does not prove it. All share random numbers, so sound methods agree.",
    ]
    refuted = table.loc[table["refuted"], "method"].unique()
    if len(refuted):
        notes.append(f"REFUTED: {', '.join(tables.method_titles[method] for method in refuted)}.")
    drawing.annotate(figure, tables, set(table["method"]), notes, lines=())
    return figure
