"""Rows of differences with their intervals, one below the other: what the figures that are forests have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.markers import CARETLEFTBASE, CARETRIGHTBASE
from matplotlib.textpath import text_to_path

from psasc_bench.analysis import MARGIN
from psasc_bench.report import style
from psasc_bench.report.formats import difference

SMALL = 6.5  # points, of what is said beside a row
GAP = 7.0  # points, between what stands side by side
MARGIN_TEXT = f"Shaded: within ±{100 * MARGIN:g} points."


def limit(most: float) -> float:
    """Where an axis of differences ends that shows ``most`` points, and in any case the margin."""
    return 1.08 * max(float(most), 150 * MARGIN)


def prepare(axes: Axes, *, limit: float) -> None:
    """An axis of differences in points from ``-limit`` to ``limit``, with zero and, shaded, the margin."""
    axes.set_xlim(-limit, limit)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="0.92", linewidth=0, zorder=0)
    axes.axvline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.tick_params(axis="y", length=0)


def lines(labels: Sequence[str]) -> list[int]:
    """How many each has: so many rows high is what it labels."""
    return [1 + text.count("\n") for text in labels]


def label(axes: Axes, labels: Sequence[str]) -> list[float]:
    """Label rows from the top down, each as high as its label; where they are."""
    heights = np.array(lines(labels))
    places = np.cumsum(heights) - (heights + 1) / 2
    axes.set_yticks(places, labels, parse_math=False)
    axes.set_ylim(heights.sum() - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    return [float(place) for place in places]


def interval(axes: Axes, y: float, low: float, high: float, *, color: str, width: float = 0.9) -> bool:
    """An interval as far as the axis goes, with an arrowhead where it goes on; whether it does. None if NaN."""
    left, right = axes.get_xlim()
    if low < high:
        ends = np.clip([low, high], left, right)
        axes.hlines(y, *ends, color=color, linewidth=width, zorder=2)
    goes_on = {CARETLEFTBASE: (low < left, left), CARETRIGHTBASE: (high > right, right)}
    for marker, (cut, end) in goes_on.items():
        if cut:
            axes.plot(end, y, marker=marker, markersize=3.5, color=color, linestyle="none", clip_on=False, zorder=3)
    return any(cut for cut, _ in goes_on.values())


def beside(axes: Axes, y: float, text: str, *, points: float = GAP, size: float = SMALL, color: str = "black") -> None:
    """Write ``text`` that far to the right of the axes or, where that is negative, of its left edge."""
    axes.annotate(
        text,
        (float(points > 0), y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(points, 0),
        textcoords="offset points",
        va="center",
        fontsize=size,
        color=color,
        parse_math=False,
        annotation_clip=False,
    )


def number(value: float) -> str:
    """With its sign; empty if NaN."""
    return "" if math.isnan(value) else difference(value)


def estimate(mean: float, low: float, high: float) -> str:
    """``+0.03 [-0.05, +0.11]``, or what there is of it."""
    known = [part for part in (number(mean), f"[{number(low)}, {number(high)}]" if low <= high else "") if part]
    return " ".join(known)


def text_width(text: str, *, size: float = SMALL) -> float:
    """Of a line of text, in points."""
    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return float(width)
