"""How a figure is laid out: panels side by side, their headings and axes, legend and notes."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.lines import Line2D

from psasc_bench.report.style import DOUBLE_COLUMN, SINGLE_COLUMN, Look

MOST_ABREAST = 3  # data sets side by side on a page
LOWEST = 1.3  # inches that a panel takes with its legend and notes, however little it shows
LEAST, TALLEST = 0.3, 40.0  # inches that a panel has at least, as long as the figure has no more than these
HEADING = 96  # characters of headings that are as wide as a page
NO_BREAK = "\N{NO-BREAK SPACE}"
LINE = 9  # characters that are as wide as a line of the legend with the gaps around it


def panels(
    count: int, rows: int, *, abreast: int = MOST_ABREAST, height: float | Sequence[float] = 1.5
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with ``count`` columns of ``rows`` panels, each ``height`` inches or, where there are several, as high
    as its row; beyond ``abreast``, blocks below each other, as full as each other."""
    blocks = math.ceil(count / abreast)
    columns = math.ceil(count / blocks)
    width = SINGLE_COLUMN if count == 1 else DOUBLE_COLUMN
    heights = [height] * rows if isinstance(height, float | int) else [*height]
    figure = Figure(figsize=(width, 0.9 + sum(heights) * blocks), layout="constrained")
    axes = figure.subplots(blocks * rows, columns, squeeze=False, height_ratios=heights * blocks)
    cells = [
        [axes[block * rows + row, column] for row in range(rows)]
        for block in range(blocks)
        for column in range(columns)
    ]
    for empty in cells[count:]:
        for panel in empty:
            panel.remove()
    return figure, cells[:count]


def heading(axes: Axes, *lines: str) -> None:
    """Write ``lines`` above a panel, each wrapped to its width."""
    place, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    if place is None or figure is None:
        raise ValueError("a heading stands above a panel of a figure")
    characters = int(HEADING * figure.get_figwidth() / DOUBLE_COLUMN / place.get_gridspec().ncols)
    axes.set_title("\n".join(wrapped(line, characters) for line in lines), parse_math=False)


def wrapped(text: str, characters: int) -> str:
    """``text`` in lines of at most so many characters, as far as can be; what is ``a = b`` stays in one."""
    together = text.replace(" = ", f"{NO_BREAK}={NO_BREAK}")
    return textwrap.fill(together, characters).replace(NO_BREAK, " ")


def align(
    columns: Sequence[Sequence[Axes]], groups: Sequence[str], labels: Sequence[str], *, math: bool = False
) -> None:
    """Panels of a row and group have the same y axis, which is written once where they are side by side; ``labels`` are
    those of the rows, with mathematics or as they are, and stand at the left of the figure."""
    firsts: dict[str, Sequence[Axes]] = {}
    before = None
    for column, group in zip(columns, groups, strict=True):
        first = firsts.setdefault(group, column)
        for panel, like, label in zip(column, first, labels, strict=True):
            leftmost = bool((place := panel.get_subplotspec()) and place.is_first_col())
            if panel is not like:
                ends = [*panel.get_ylim(), *like.get_ylim()]
                panel.sharey(like)
                like.set_ylim(min(ends), max(ends))
            if leftmost:
                panel.set_ylabel(label, parse_math=math)
            panel.tick_params(labelleft=leftmost or group != before)
        for panel in column[:-1]:
            panel.tick_params(labelbottom=False)
        before = group


def power(value: float) -> str:
    """``1e-05`` as mathematics, without dollar signs."""
    mantissa, exponent = f"{value:e}".split("e")
    factor = "" if float(mantissa) == 1 else rf"{float(mantissa):g} \times "
    return f"{factor}10^{{{int(exponent)}}}"


def handle(title: str, look: Look, *, line: bool) -> Line2D:
    """An entry of the legend, with a line or only its marker."""
    drawn = look.line() if line else {"color": look.color, "linestyle": "none"}
    return Line2D([], [], **drawn, **look.points(), label=title)


def key(axes: Axes, handles: Sequence[Line2D], *, gap: float = 0.5) -> None:
    """A legend to the right of a panel; between its entries ``gap`` of a line."""
    titles = [str(handle.get_label()) for handle in handles]
    # matplotlib leaves out what begins with an underscore, and looks for mathematics
    legend = axes.legend(
        handles, [" "] * len(titles), loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=gap, borderaxespad=0
    )
    for text, title in zip(legend.get_texts(), titles, strict=True):
        text.set(text=title, parse_math=False)


def annotate(figure: Figure, handles: Sequence[Line2D], notes: Sequence[str]) -> None:
    """Put the legend above and the notes below."""
    characters = 126 if figure.get_figwidth() > SINGLE_COLUMN else 60
    if handles:
        titles = [str(handle.get_label()) for handle in handles]
        # matplotlib leaves out what begins with an underscore, and looks for mathematics
        named = figure.legend(
            handles=list(handles),
            labels=[" "] * len(titles),
            loc="outside upper center",
            ncols=_columns(titles, characters),
        )
        for text, title in zip(named.get_texts(), titles, strict=True):
            text.set(text=title, parse_math=False)
    paragraph = textwrap.wrap(" ".join(notes), characters)
    below = figure.supxlabel("\n".join(paragraph), x=0.01, ha="left", fontsize=7, linespacing=1.3)
    below.set_parse_math(False)  # notes hold titles, as does the legend
    figure.align_ylabels()


def _columns(entries: Sequence[str], characters: int) -> int:
    """As many columns of a legend as there is room for; each is as wide as its longest entry with its line."""
    for columns in range(len(entries), 1, -1):
        longest = [max(map(len, column)) for column in np.array_split(list(entries), columns)]
        if sum(longest) + LINE * columns <= characters:
            return columns
    return 1


def blank(reason: str, notes: Sequence[str] = ()) -> Figure:
    """In place of a figure that a study has nothing for, which is no reason for the study to fail."""
    figure = Figure(figsize=(SINGLE_COLUMN, 0.5))
    annotate(figure, [], [f"Nothing to draw: {reason}.", *notes])
    return figure


def lay_out(figure: Figure) -> None:
    """Fix the places of all parts. Else each format would find them anew, which takes most of the time. Where titles
    and notes leave its panels too little, the figure grows."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    while not _laid_out(figure, engine) and figure.get_figheight() < TALLEST:
        figure.set_figheight(figure.get_figheight() + LEAST)
    figure.set_layout_engine("none")


def _laid_out(figure: Figure, engine: LayoutEngine) -> bool:
    """Whether there was a place for all parts, and height for the panels."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", "constrained_layout not applied")  # because nothing is left for the panels
        engine.execute(figure)
    lowest = min((axes.get_position().height for axes in figure.axes), default=1) * figure.get_figheight()
    return not caught and lowest >= LEAST
