"""Which gradients get the weight, and how close to the true mean gradient is what a step releases."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.report import drawing, layout, style
from psasc_bench.report.figures import REQUESTED
from psasc_bench.report.tables import Tables, averages, extremes, sample

MEASURES = {
    "quarter_weight": "Weight of the smallest quarter",
    "effective_sample_size": "Effective sample size",
    "released_cosine": "Cosine as released",
}
EQUAL = {"quarter_weight": 0.25, "effective_sample_size": 1.0}  # where all examples weigh the same
TITLE = 18  # characters that a panel is high


def draw(tables: Tables) -> Figure:
    """A row per data set and budget, a column per measure, along runs that the methods share."""
    table = tables.requested("deviation")
    known = set(MEASURES) <= set(table.columns)
    there = set(zip(table["dataset"], table["epsilon"], strict=True)) if known else set()
    cells = [cell for cell in tables.dataset_budgets if cell in there]
    absent = [title for name, title in tables.titles.items() if name not in dict(cells)]
    remedy = f"`{REQUESTED['deviation']}` measures the data sets that are trained"
    missing = [f"Not measured: {', '.join(absent)}; {remedy}."] if absent else []
    if not cells:
        return layout.blank("no shared run of the study has been measured", missing)
    rows = _shown(cells)
    figure, columns = layout.panels(len(MEASURES), len(rows), height=1.4)
    for measure, column in zip(MEASURES, columns, strict=True):
        found = averages(table[measure], table)
        layout.heading(column[0], MEASURES[measure])
        column[-1].set_xlabel("Epoch")
        for (dataset, epsilon), axes in zip(rows, column, strict=True):
            means = {m: found[dataset, epsilon, m] for m in tables.methods if (dataset, epsilon, m) in found}
            _panel(axes, means, tables, equal=EQUAL.get(measure))
    labels = [f"{textwrap.fill(tables.titles[dataset], TITLE)}\nε = {epsilon:g}" for dataset, epsilon in rows]
    layout.align(columns, list(MEASURES), labels)
    for axes in figure.axes:
        axes.tick_params(labelbottom=True)  # data sets differ in epochs
    along = " and ".join(tables.method_titles.get(name, name) for name in table["trajectory"].unique())
    notes = [
        f"All methods at the same parameters, those of runs of {along}, over all training examples; not private. Left: "
        "share of all weight that the quarter of the examples with the smallest gradients gets. Middle: as a share of "
        "the examples. Dashed: where all weigh the same. Right: expected cosine between what a step releases, noise "
        "included, and the true mean gradient.",
        sample(table.groupby(["dataset", "epsilon"])["seed"].nunique()),
        *missing,
        *tables.left_out("deviation"),
    ]
    drawing.annotate(figure, tables, set(table["method"]), notes)
    return figure


def _shown(cells: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Of one data set its smallest and largest budget; of several, each at the budget that most of them have, or at its
    largest."""
    budgets: dict[str, list[float]] = {}
    for dataset, epsilon in cells:
        budgets.setdefault(dataset, []).append(epsilon)
    if len(budgets) == 1:
        return extremes(cells)
    ((usual, _),) = Counter(epsilon for _, epsilon in cells).most_common(1)
    return [(dataset, usual if usual in of_one else max(of_one)) for dataset, of_one in budgets.items()]


def _panel(axes: Axes, means: dict[str, pd.DataFrame], tables: Tables, *, equal: float | None) -> None:
    """The axis is made for the means: of two seeds, the interval may be wider than all that there can be."""
    for method, of_one in means.items():
        drawing.band(axes, of_one, method, tables)
    values = pd.concat([of_one["mean"] for of_one in means.values()] + [pd.Series([equal] if equal else [])])
    if equal is not None:
        axes.axhline(equal, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    margin = max(0.1 * (values.max() - values.min()), 0.005)
    axes.set_ylim(values.min() - margin, values.max() + margin)
    axes.set_xlim(0, max(of_one.index.max() for of_one in means.values()) + 1)
