"""The method under test against the reference, data set by data set, and over all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench.analysis import MARGIN
from psasc_bench.report import forests, layout, style
from psasc_bench.report.style import DOUBLE_COLUMN, Look
from psasc_bench.report.tables import Tables

LINE, SPACE = 9.5, 5.0  # points: of text, and between rows
LARGE = 7.0  # points, of labels and numbers
LABEL = 22  # characters
DIAMOND = "D"
NONE = (math.nan, math.nan)
POINTS = f"{100 * MARGIN:g}"
BLOCKS = {False: "One setting for all", True: "Each method tuned"}
SIZES = {"yes": f"within ±{POINTS}", "no": f"not within ±{POINTS}"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """In points; ``inner`` is the 90 % interval. What is ``small`` stands below the label, and below the numbers."""

    label: str
    small: tuple[str, str]
    marker: str
    mean: float
    ends: tuple[float, float]
    inner: tuple[float, float] = NONE
    hollow: bool = False

    @property
    def lines(self) -> list[str]:
        return layout.wrapped(self.label, LABEL).splitlines()

    @property
    def height(self) -> float:
        return LINE * (len(self.lines) + 1) + SPACE


def draw(tables: Tables) -> Figure:
    """The mean difference in final test accuracy on each data set, with its intervals and what they decide; below them
    the mean over data sets, and where another one is to be expected."""
    method, reference = tables.roles.method, tables.roles.reference
    if method is None or reference is None:
        absent = "under test" if method is None else "to compare others with"
        return layout.blank(f"the study has no method {absent}")
    compared, title = tables.method_titles[method], tables.reference_title()
    comparisons = _between(tables.read("comparisons"), method, reference)
    if comparisons.empty:
        return layout.blank(f"no run of {compared} has finished that pairs with one of {title}")
    answers = _between(tables.read("answer"), method, reference)
    if tables.dataset is not None:
        answers = answers.head(0)
    look = tables.looks[method]
    blocks = {
        BLOCKS[bool(tuned)]: [*_data_sets(of_block, look), *_means(answers, tuned=bool(tuned))]
        for tuned, of_block in comparisons.groupby("tuned")
    }
    decisive = comparisons[comparisons["decides"]] if comparisons["decides"].any() else comparisons
    limit = forests.limit(100 * max(*decisive[["mean", "low", "high"]].abs().max(), comparisons["mean"].abs().max()))
    notes = [*_notes(blocks, limit), *tables.unseen(set(comparisons["dataset"]))]
    height = sum(LINE + SPACE + sum(row.height for row in rows) for rows in blocks.values())
    figure = Figure(figsize=(DOUBLE_COLUMN, height / 72 + 1.1), layout="constrained")
    axes = figure.subplots()
    forests.prepare(axes, limit=limit)
    axes.set(ylim=(height, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Percentage points")
    layout.heading(axes, f"Final test accuracy: {compared} minus {title}")
    _draw_blocks(axes, blocks, look.color)
    layout.annotate(figure, [], notes)
    return figure


def _between(table: pd.DataFrame, method: str, reference: str) -> pd.DataFrame:
    return table[(table["method"] == method) & (table["reference"] == reference)] if len(table) else table


def _data_sets(comparisons: pd.DataFrame, look: Look) -> Iterator[Row]:
    """Those that decide something first."""
    for _, row in comparisons.sort_values("decides", ascending=False, kind="stable").iterrows():
        seeds = "one seed" if row["n"] == 1 else f"{row['n']} seeds"
        yield Row(
            label=row["dataset_title"],
            small=(f"ε = {str(row['budgets']).removesuffix('.0')}; {seeds}", _said(row)),
            marker=look.marker,
            mean=100 * row["mean"],
            ends=(100 * row["low"], 100 * row["high"]),
            inner=(100 * row["low_90"], 100 * row["high_90"]) if row["decides"] else NONE,
            hollow=not row["decides"],
        )


def _means(answers: pd.DataFrame, *, tuned: bool) -> Iterator[Row]:
    for _, row in (answers[answers["tuned"] == tuned] if len(answers) else answers).iterrows():
        if row["datasets"] < 2 or math.isnan(row["mean"]):
            continue
        chance = f"{100 * row['probability_higher']:.0f} %" if row["probability_higher"] >= 0.01 else "under 1 %"
        yield Row(
            label=f"Mean of {row['datasets']} data sets",
            small=("random effects", f"probability of more than +{POINTS}: {chance}"),
            marker=DIAMOND,
            mean=100 * row["mean"],
            ends=(100 * row["low"], 100 * row["high"]),
        )
        if not math.isnan(row["prediction_low"]):
            ends = (100 * row["prediction_low"], 100 * row["prediction_high"])
            yield Row(label="Another data set", small=("predicted", ""), marker="", mean=math.nan, ends=ends)


def _said(row: pd.Series) -> str:
    """What the comparison decides: its sign and its size."""
    if row["n"] == 1:
        return "one seed has no interval"
    if not row["decides"]:
        return "decides nothing"
    if row["sign"] == "identical":
        return f"identical in {row['identical']} of {row['n']} pairs"
    sign = row["sign"] if row["sign"] in ("higher", "lower") else "sign unresolved"
    rest = f"gain of {POINTS} excluded" if row["gain_excluded"] == "yes" else "size unresolved"
    return f"{sign}; {SIZES.get(row['within'], rest)}"


def _draw_blocks(axes: Axes, blocks: Mapping[str, Sequence[Row]], color: str) -> None:
    rows = [row for of_block in blocks.values() for row in of_block]
    widths = [forests.text_width(line, size=LARGE) for row in rows for line in row.lines]
    left = -forests.GAP - max([*widths, *(forests.text_width(row.small[0]) for row in rows)])
    forests.beside(axes, LINE / 2, "Difference [95 % interval]", color=style.GREY)
    for place, side, text in ((0.01, "left", "lower"), (0.99, "right", "higher")):
        axes.text(place, LINE / 2, text, transform=axes.get_yaxis_transform(), ha=side, va="center", color=style.GREY)
    top = 0.0
    for heading, of_block in blocks.items():
        if BLOCKS[True] in blocks:
            forests.beside(axes, top + LINE / 2, heading, points=left, size=LARGE)
        if top:
            axes.axhline(top - SPACE / 2, color="black", linewidth=0.5, zorder=0)
        top += LINE + SPACE
        for row in of_block:
            if row.marker == DIAMOND:
                axes.axhline(top - SPACE / 2, color="0.85", linewidth=0.5, zorder=0)
            _row(axes, top, row, left, color)
            top += row.height


def _row(axes: Axes, top: float, row: Row, left: float, color: str) -> None:
    ink = style.GREY if row.hollow else "black"
    for i, line in enumerate(row.lines):
        forests.beside(axes, top + LINE * (i + 0.5), line, points=left, size=LARGE, color=ink)
    last = top + LINE * (len(row.lines) + 0.5)
    forests.beside(axes, last, row.small[0], points=left, color=style.GREY)
    forests.beside(axes, last - LINE, forests.estimate(row.mean, *row.ends), size=LARGE, color=ink)
    forests.beside(axes, last, row.small[1], color=style.GREY)
    y = top + (row.height - SPACE) / 2
    forests.interval(axes, y, *row.ends, color=color, width=0.7)
    forests.interval(axes, y, *row.inner, color=color, width=2.2)
    face = "white" if row.hollow else color
    axes.plot(
        row.mean, y, marker=row.marker, markersize=6, color=color, markerfacecolor=face, markeredgewidth=1, zorder=4
    )


def _notes(blocks: Mapping[str, Sequence[Row]], limit: float) -> list[str]:
    """What there is to explain."""
    rows = [row for of_block in blocks.values() for row in of_block]
    notes = ["Mean over budgets, paired by seed. Thick: 90 % interval, thin: 95 %."]
    if any(row.marker == DIAMOND for row in rows):
        notes.append("Diamond: random-effects mean over data sets; below it the 95 % interval for another data set.")
    if any(row.hollow for row in rows):
        notes.append(f"Hollow: one test example is more than {POINTS} points, so the data set decides nothing.")
    if any(abs(end) > limit for row in rows for end in row.ends):
        notes.append("Arrowhead: the interval goes on.")
    return [*notes, forests.MARGIN_TEXT]
