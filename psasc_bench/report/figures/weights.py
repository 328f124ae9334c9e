"""Weight functions, and the gradient norms that they meet."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout, style
from psasc_bench.report.tables import Tables


def draw(tables: Tables) -> Figure:
    """Weight ``w(x)`` and contribution ``x w(x)`` against the gradient norm ``x``, both in units of the sensitivity; so
    is the noise, which makes methods with other thresholds comparable. Below them, the norms of each method's own
    training."""
    table = tables.weights.copy()
    if table.empty:
        return layout.blank("the study has no private method, and a control has no weight to choose")
    table["weight"] /= table["sensitivity"]
    table["contribution"] = table["norm"] * table["weight"]
    norms = _norms(tables)
    datasets = [name for name in table["dataset"].unique() if norms.empty or name in set(norms["dataset"])]
    table = table[table["dataset"].isin(datasets)]
    notes = ["Δ: the sensitivity, which the noise is proportional to. Thin grey line: contribution Δ, the bound."]
    figure, columns = layout.panels(len(datasets), 2 if norms.empty else 3)
    for dataset, column in zip(datasets, columns, strict=True):
        rows = table[table["dataset"] == dataset]
        _functions(column[0], column[1], rows, tables)
        if not norms.empty:
            _bands(column[2], norms[norms["dataset"] == dataset], tables)
        column[0].set_title(tables.titles[dataset], parse_math=False)
        column[-1].set_xlabel("Gradient norm $x$ of an example")
        for axes in column:
            axes.set(xscale="log", xlim=(rows["norm"].min(), rows["norm"].max()))
            axes.minorticks_off()
    labels = ["Weight $w(x)/\\Delta$", "Contribution $x\\,w(x)/\\Delta$", "Norms in training,\nnot private"]
    layout.align(columns, ["all"] * len(datasets), labels[: len(columns[0])], math=True)
    if not norms.empty:
        notes.append(
            "Bars: 10th to 90th percentile of the gradient norms, and median, in the first (pale) and the last epoch, "
            "averaged over budgets and seeds."
        )
    drawing.annotate(figure, tables, set(table["method"].unique()), [*notes, *tables.unseen(datasets)])
    return figure


def _functions(upper: Axes, lower: Axes, rows: pd.DataFrame, tables: Tables) -> None:
    for axes, column in ((upper, "weight"), (lower, "contribution")):
        for method, line in rows.groupby("method"):
            drawing.curve(axes, line["norm"], line[column], str(method), tables)
    norms = np.sort(rows["norm"].unique())
    upper.plot(norms, 1 / norms, color=style.GREY, linewidth=0.5, zorder=1)
    lower.axhline(1, color=style.GREY, linewidth=0.5, zorder=1)
    ends = rows.loc[rows["weight"] > 0, "weight"].agg(["min", "max"])
    upper.set(yscale="log", ylim=(0.5 * ends["min"], 2 * ends["max"]))
    lower.set(ylim=(0, 1.08))


def _norms(tables: Tables) -> pd.DataFrame:
    """Columns ``q10``, ``q50`` and ``q90`` of the gradient norms in the first and the last epoch of each data set and
    method: geometric means over budgets and seeds, for norms differ by factors."""
    curves = tables.curves
    if curves.empty:
        return curves
    epochs = curves.groupby("dataset")["epoch"]
    ends = (curves["epoch"] == epochs.transform("min")) | (curves["epoch"] == epochs.transform("max"))
    shown = curves[ends & curves["method"].isin(tables.methods)]
    quantiles = shown[[f"nonprivate_norm_{q}" for q in ("q10", "q50", "q90")]].clip(lower=1e-12)
    means = quantiles.apply(np.log).groupby([shown[key] for key in ("dataset", "method", "epoch")]).mean()
    return means.apply(np.exp).rename(columns=lambda name: name.removeprefix("nonprivate_norm_")).reset_index()


def _bands(axes: Axes, norms: pd.DataFrame, tables: Tables) -> None:
    """A bar per method and epoch, the earlier one pale."""
    for place, method in enumerate(tables.methods):
        rows, look = norms[norms["method"] == method].sort_values("epoch"), tables.looks[method]
        y = 0.18 - place - 0.36 * np.arange(len(rows))
        axes.hlines(y, rows["q10"], rows["q90"], color=look.color, alpha=[0.45, 1.0][-len(rows) :], linewidth=2.2)
        axes.plot(rows["q50"], y, linestyle="none", **look.points(edge="white"), zorder=3)
    axes.set(ylim=(0.5 - len(tables.methods), 0.5), yticks=[])
