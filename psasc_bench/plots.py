"""Figures from the tidy tables, and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from psasc_bench import marks, style
from psasc_bench.files import replacing
from psasc_bench.results import REFERENCE
from psasc_bench.statistics import CONFIDENCE
from psasc_bench.tables import Tables

# A date or the program's version would make the same figure another file.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw(figure: str, results: Path, output: Path) -> None:
    """Draw ``figure`` (a key of ``FIGURES``) from the tables in ``results`` to ``output``, as ``.svg`` and ``.pdf``.

    The same tables give the same bytes. Raises ``ValueError`` for an unknown figure and when no run has finished;
    ``OSError`` for an absent table.
    """
    if figure not in FIGURES:
        raise ValueError(f"no figure {figure!r}; there are: {', '.join(FIGURES)}")
    with style.applied():
        drawn = FIGURES[figure](Tables(results))
        style.lay_out(drawn)
        for suffix, metadata in METADATA.items():
            with replacing(output / f"{figure}.{suffix}") as file:
                drawn.savefig(file, format=suffix, metadata=metadata)


def weights(tables: Tables) -> Figure:
    """Weight ``w(x)`` and contribution ``x w(x)`` against the gradient norm ``x``, both in units of the sensitivity. So
    is the noise, which makes methods with other thresholds comparable."""
    table = tables.read("weights")
    table["weight"] /= table["sensitivity"]
    table["contribution"] = table["norm"] * table["weight"]
    datasets = table["dataset"].unique()
    notes = ["Δ is the sensitivity, which the noise is proportional to. Thin grey line: contribution Δ, the bound."]
    figure, panels = style.panels(len(datasets), 2)
    for dataset, (upper, lower) in zip(datasets, panels, strict=True):
        rows = table[table["dataset"] == dataset]
        span = _norm_span(tables, dataset)
        for axes, column in ((upper, "weight"), (lower, "contribution")):
            for method, line in rows.groupby("method"):
                marks.curve(axes, line["norm"], line[column], str(method), tables)
            if span:
                axes.axvspan(*span, color="0.92", linewidth=0, zorder=0)
            axes.set(xscale="log", xlim=(rows["norm"].min(), rows["norm"].max()))
        norms = np.sort(rows["norm"].unique())
        upper.plot(norms, 1 / norms, color=style.GREY, linewidth=0.5, zorder=1)
        lower.axhline(1, color=style.GREY, linewidth=0.5, zorder=1)
        ends = rows.loc[rows["weight"] > 0, "weight"].agg(["min", "max"])
        upper.set(yscale="log", ylim=(0.5 * ends["min"], 2 * ends["max"]))
        upper.set_title(tables.titles[dataset], parse_math=False)
        upper.minorticks_off()
        lower.minorticks_off()
        upper.tick_params(labelbottom=False)
        lower.set(ylim=(0, 1.08), xlabel="Gradient norm $x$ of an example")
    panels[0][0].set_ylabel("Weight $w(x)/\\Delta$")
    panels[0][1].set_ylabel("Contribution $x\\,w(x)/\\Delta$")
    if not tables.curves.empty:
        notes.append("Shaded: 10th to 90th percentile of the gradient norms in the last epoch (not private).")
    _annotate(figure, tables, set(table["method"].unique()), notes)
    return figure


def _norm_span(tables: Tables, dataset: str) -> tuple[float, float] | None:
    """From the 10th to the 90th percentile of the last epoch's gradient norms: medians over the private runs."""
    curves = tables.curves
    if curves.empty:
        return None
    curves = curves[(curves["dataset"] == dataset) & curves["method"].isin(tables.contestants)]
    last = curves[curves["epoch"] == curves["epoch"].max()]
    low, high = last["nonprivate_norm_q10"].median(), last["nonprivate_norm_q90"].median()
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def accuracy(tables: Tables) -> Figure:
    """Final test accuracy against epsilon, and below it the difference to DP-SGD, paired by seed."""
    cells = tables.finished
    paired = "difference_mean" in cells and bool(cells.loc[~cells["control"], "difference_mean"].notna().any())
    runs = tables.read("runs")
    deltas = runs[~runs["control"]].groupby("dataset")["delta"].max()
    datasets = cells["dataset"].unique()
    shown, below = [], []
    figure, panels = style.panels(len(datasets), 2 if paired else 1)
    width = 72 * 0.75 * figure.get_figwidth() / min(len(datasets), style.MOST_ABREAST)  # without the axis labels
    for dataset, column in zip(datasets, panels, strict=True):
        rows = cells[cells["dataset"] == dataset]
        contest, controls = rows[~rows["control"]], rows[rows["control"]]
        budgets = sorted(epsilon for epsilon in rows["epsilon"].unique() if math.isfinite(epsilon))
        for axes in column:
            marks.budget_axis(axes, budgets)
        marks.points(column[0], _percent(contest, "accuracy"), budgets, tables, width=width)
        squashing = controls["accuracy_mean"] < _floor(contest)
        marks.yardsticks(column[0], _percent(controls[~squashing], "accuracy"), budgets, tables)
        below.append(_percent(controls[squashing], "accuracy"))
        shown += [*contest["method"], *controls.loc[~squashing, "method"]]
        if paired:
            differences = _percent(contest, "difference")
            differences.loc[differences["method"] == REFERENCE, "mean"] = 0
            marks.points(column[1], differences, budgets, tables, width=width)
            column[1].axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
            column[0].tick_params(labelbottom=False)
        column[0].set_title(tables.titles[dataset], parse_math=False)
        delta = f" ($\\delta={_power(deltas[dataset])}$)" if dataset in deltas else ""
        column[-1].set_xlabel(f"Privacy budget $\\varepsilon${delta}")
    panels[0][0].set_ylabel("Test accuracy (%)")
    notes = [tables.sample()]
    if paired:
        label = f"Difference to {tables.method_titles[REFERENCE]}\n(percentage points)"
        panels[0][1].set_ylabel(label, parse_math=False)
        notes.append("Differences are paired by seed.")
    for method, mean in pd.concat(below).groupby("method")["mean"]:
        notes.append(f"Below the axis: {tables.method_titles[str(method)]}, {mean.min():.0f} to {mean.max():.0f} %.")
    _annotate(figure, tables, shown, [*notes, *tables.gaps()], lines=tables.controls)
    return figure


def _percent(cells: pd.DataFrame, name: str) -> pd.DataFrame:
    """Columns ``mean``, ``low`` and ``high`` of the quantity called ``name``, in percent."""
    ends = {end: 100 * cells[f"{name}_{end}"] for end in ("mean", "low", "high")}
    return cells[["method", "epsilon"]].assign(**ends)


def _floor(contest: pd.DataFrame) -> float:
    """A control below this accuracy would squash the contestants: further down than their own range is wide, or than 5
    points. NaN, which nothing is below, where there are no contestants."""
    ends = contest[["accuracy_mean", "accuracy_low", "accuracy_high"]].to_numpy(dtype=float, na_value=np.nan)
    if not len(ends):
        return math.nan
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    return low - max(high - low, 0.05)


def convergence(tables: Tables) -> Figure:
    """Test accuracy and training loss by epoch: mean over seeds with its 95 % t-interval; a column per budget."""
    cells, curves = tables.finished, tables.curves
    datasets = cells["dataset"].unique()
    budgets = sorted(cells.loc[~cells["control"], "epsilon"].unique()) or [math.inf]
    # A run without a budget is a yardstick at each; a control with one only shows that noise teaches nothing.
    yardsticks = set(cells.loc[np.isinf(cells["epsilon"]), "method"]) & tables.controls
    accuracies = _averages(100 * curves["test_accuracy"], curves)
    losses = _averages(curves["nonprivate_train_loss"], curves)
    width = style.SINGLE_COLUMN if len(budgets) == 1 else style.DOUBLE_COLUMN
    figure = Figure(figsize=(width, 0.9 + 2.6 * len(datasets)), layout="constrained")
    panels = figure.subplots(2 * len(datasets), len(budgets), squeeze=False, sharex="row", sharey="row")
    for i, dataset in enumerate(datasets):
        for k, epsilon in enumerate(budgets):
            upper, lower = panels[2 * i, k], panels[2 * i + 1, k]
            keys = [(dataset, epsilon, method) for method in tables.contestants]
            keys += [(dataset, math.inf, method) for method in tables.looks if method in yardsticks]
            for key in keys:
                marks.band(upper, accuracies.get(key), key[2], tables)
                marks.band(lower, losses.get(key), key[2], tables)
            upper.set_title(f"{tables.titles[dataset]}, ε = {epsilon:g}", parse_math=False)
            upper.tick_params(labelbottom=False)
            lower.set(xlabel="Epoch", ylim=(0, None))
        panels[2 * i, 0].set_ylabel("Test accuracy (%)")
        panels[2 * i + 1, 0].set_ylabel("Training loss (nats),\nnot private")
    hidden = [tables.method_titles[method] for method in tables.controls - yardsticks]
    notes = [tables.sample(), *([f"Not drawn: {', '.join(sorted(hidden))}."] if hidden else [])]
    shown = {*cells.loc[~cells["control"], "method"], *yardsticks}
    _annotate(figure, tables, shown, [*notes, *tables.gaps()])
    return figure


def _averages(values: pd.Series, curves: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """By data set, epsilon and method: ``mean``, ``low`` and ``high`` over seeds, with the epoch as index."""
    groups = values.groupby([curves[key] for key in ("dataset", "epsilon", "method", "epoch")])
    mean, count = groups.mean(), groups.count()
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * groups.std() / np.sqrt(count)
    table = pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})
    return {key: rows.droplevel([0, 1, 2]) for key, rows in table.groupby(level=[0, 1, 2])}


def audit(tables: Tables) -> Figure:
    """The epsilon that an attack proves against the epsilon that is claimed; a panel per schedule."""
    table = tables.read("audit").rename(columns={"epsilon_lower": "mean"}).assign(low=np.nan, high=np.nan)
    if table.empty:
        raise ValueError(f"{tables.folder}: no method was audited, nothing to draw")
    budgets = sorted(table["epsilon"].unique())
    schedules = list(table.groupby(["sampling_rate", "steps"], sort=False))
    figure, (column,) = style.panels(1, len(schedules))
    width = 72 * 0.75 * figure.get_figwidth()
    for ((sampling_rate, steps), rows), axes in zip(schedules, column, strict=True):
        marks.budget_axis(axes, budgets)
        top = 1.15 * max(rows["epsilon_claimed"].max(), rows["mean"].max())
        marks.claims(axes, list(rows.groupby("epsilon")["epsilon_claimed"].max()), top=top)
        marks.points(axes, rows, budgets, tables, width=width)
        sampling = "No subsampling" if sampling_rate == 1 else f"Poisson sampling at rate {sampling_rate:g}"
        axes.set(title=f"{sampling}, {steps} steps", ylabel="Lower bound on $\\varepsilon$")
    for axes in column[:-1]:
        axes.tick_params(labelbottom=False)
    column[-1].set_xlabel(f"Privacy budget $\\varepsilon$ ($\\delta={_power(table['delta'].max())}$)")
    confidence, trials = 100 * table["confidence"].min(), table["trials"].min()
    notes = [
        f"What a white-box attack proves ({trials:,} canaries in, as many out), at {confidence:g} % confidence each.",
        "Dashed: the claim. A bound below it does not prove it. All share random numbers, so sound methods agree.",
    ]
    refuted = table.loc[table["refuted"], "method"].unique()
    if len(refuted):
        notes.append(f"REFUTED: {', '.join(tables.method_titles[method] for method in refuted)}.")
    _annotate(figure, tables, set(table["method"]), notes, lines=())
    return figure


def _annotate(
    figure: Figure,
    tables: Tables,
    shown: Collection[str],
    notes: Sequence[str],
    *,
    lines: Collection[str] | None = None,
) -> None:
    """Legend and notes. ``lines``: the methods that are drawn as lines; all if not given."""
    entries = [
        (tables.method_titles[method], look, lines is None or method in lines)
        for method, look in tables.looks.items()
        if method in shown
    ]
    style.annotate(figure, entries, notes)


def _power(value: float) -> str:
    """``1e-05`` as mathematics, without dollar signs."""
    mantissa, exponent = f"{value:e}".split("e")
    factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g} \times "
    return f"{factor}10^{{{int(exponent)}}}"


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "accuracy": accuracy,
    "audit": audit,
    "convergence": convergence,
    "weights": weights,
}
