"""Accuracy and loss by epoch."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout
from psasc_bench.report.tables import Tables, averages


def draw(tables: Tables) -> Figure:
    """Test accuracy and training loss by epoch: mean over seeds with its 95 % t-interval; a column per data set and
    budget."""
    cells, curves = tables.finished, tables.curves
    if cells.empty:
        return layout.blank(tables.nothing())
    # A run without a budget is a yardstick at each; a control with one only shows that noise teaches nothing.
    yardsticks = set(cells.loc[np.isinf(cells["epsilon"]), "method"]) & tables.controls
    shown = {*cells.loc[~cells["control"], "method"], *yardsticks}
    if not shown:
        return layout.blank("only controls have finished a run, and those at a budget show that noise teaches nothing")
    accuracies = averages(100 * curves["test_accuracy"], curves)
    losses = averages(curves["nonprivate_train_loss"], curves)
    figure, columns = layout.panels(len(tables.dataset_budgets), 2, abreast=4, height=1.35)
    for (dataset, epsilon), (upper, lower) in zip(tables.dataset_budgets, columns, strict=True):
        keys = [(dataset, epsilon, method) for method in tables.methods]
        keys += [(dataset, math.inf, method) for method in tables.looks if method in yardsticks]
        for key in keys:
            drawing.band(upper, accuracies.get(key), key[2], tables)
            drawing.band(lower, losses.get(key), key[2], tables)
        layout.heading(upper, tables.title(dataset, epsilon))
        lower.set(xlabel="Epoch", ylim=(0, None))
    labels = ["Test accuracy (%)", "Training loss (nats),\nnot private"]
    layout.align(columns, [dataset for dataset, _ in tables.dataset_budgets], labels)
    hidden = [tables.method_titles[method] for method in tables.controls - yardsticks]
    notes = [tables.sample(), *([f"Not drawn: {', '.join(sorted(hidden))}."] if hidden else [])]
    drawing.annotate(figure, tables, shown, [*notes, *tables.gaps()])
    return figure
