"""How far the scaled mean gradient is from the true one."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from psasc_bench.report import drawing, layout, style
from psasc_bench.report.figures import REQUESTED
from psasc_bench.report.tables import Tables, averages, extremes

MEASURES = {
    "cosine": "Cosine,\nshared run",
    "relative_error": "Relative error,\nshared run",
    "nonprivate_cosine": "Cosine,\nown run",
    "nonprivate_relative_error": "Relative error,\nown run",
    "nonprivate_signal_to_noise": "Signal to noise",
}


def draw(tables: Tables) -> Figure:
    """A column per data set and budget, a row per measure: first along one run that the methods share, where that was
    asked for, then along the runs of each."""
    curves = tables.curves
    curves = curves[curves["method"].isin(tables.methods)] if len(curves) else curves
    if curves.empty:
        return layout.blank("no run of a private method has finished")
    shared = tables.requested("deviation")
    cells = _budgets(tables, shared)
    rows = {name: averages(table[name], table) for table in (shared, curves) for name in MEASURES if name in table}
    measures = {name: label for name, label in MEASURES.items() if rows.get(name)}
    if not measures:
        return layout.blank("no finished run of a private method has measured it")
    figure, columns = layout.panels(len(cells), len(measures), abreast=6, height=1.1)
    for (dataset, epsilon), column in zip(cells, columns, strict=True):
        last = curves.loc[curves["dataset"] == dataset, "epoch"].max()
        for name, axes in zip(measures, column, strict=True):
            if name == "nonprivate_signal_to_noise":
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.minorticks_off()
            found = {method: rows[name].get((dataset, epsilon, method)) for method in tables.methods}
            _bands(axes, {method: means for method, means in found.items() if means is not None}, tables)
            axes.set_xlim(0, last + 1)
        layout.heading(column[0], tables.titles[dataset], f"ε = {epsilon:g}")
        column[-1].set_xlabel("Epoch")
    layout.align(columns, ["all"] * len(columns), list(measures.values()))
    notes = [
        "Scaled against true mean gradient on a fixed set of training examples, not private. Signal to noise: norm of "
        "the scaled sum over that of the noise.",
        tables.sample(tables.methods),
        _shared_note(shared, tables),
        "Of each data set its smallest and largest budget, of those with a shared run where there is one.",
        *tables.left_out("deviation"),
        *tables.gaps(),
    ]
    drawing.annotate(figure, tables, tables.methods, notes)
    return figure


def _budgets(tables: Tables, shared: pd.DataFrame) -> list[tuple[str, float]]:
    """Of each data set the smallest and the largest budget, of those with a shared run where there is one."""
    measured = {(row.dataset, row.epsilon) for row in shared.itertuples()}
    known = {dataset for dataset, _ in measured}
    return extremes(cell for cell in tables.dataset_budgets if cell in measured or cell[0] not in known)


def _bands(axes: Axes, found: dict[str, pd.DataFrame], tables: Tables) -> None:
    """The axis is made for the means: of two seeds, the interval may be wider than all that there can be."""
    if not found:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=style.GREY)
        return
    for method, of_one in found.items():
        drawing.band(axes, of_one, method, tables)
    means = pd.concat([of_one["mean"] for of_one in found.values()])
    if axes.get_yscale() == "log":
        axes.set_ylim(0.7 * means.min(), 1.4 * means.max())
    else:
        margin = max(0.15 * (means.max() - means.min()), 0.01)
        axes.set_ylim(means.min() - margin, means.max() + margin)


def _shared_note(shared: pd.DataFrame, tables: Tables) -> str:
    if shared.empty:
        return f"Not measured along a shared run: `{REQUESTED['deviation']}` does."
    runs = shared.groupby(["dataset", "epsilon", "trajectory"])["seed"].nunique()
    along = " and ".join(tables.method_titles.get(name, name) for name in shared["trajectory"].unique())
    return f"Shared run: of {along}, {runs.max()} seed{'s' if runs.max() > 1 else ', hence no interval'}."
