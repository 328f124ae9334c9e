"""How a table fits a page of LaTeX: in the largest of a few sizes that does, with headers wrapped where need be, then
labels, and then with its columns a few at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from psasc_bench.report.formats import MINUS
from psasc_bench.report.latex_text import LONGEST_WORD, shown

# The width of the text of `article` at 10 points, and the space on each side of a column, in points.
TEXT_WIDTH, GAP = 345.0, 2.5
# What is a point wide in Computer Modern at 10 points, at these sizes: small ones are set wide.
SIZES = {"small": 9.25, "footnotesize": 8.5, "scriptsize": 8.0}
# Upper bounds of what characters are wide, in parts of the size.
WIDTHS = dict.fromkeys(".,:;'il", 0.28) | dict.fromkeys(" -()[]/!jftrI", 0.4) | dict.fromkeys("mwMW%&@∞→", 1.03)
WIDTHS |= dict.fromkeys("0123456789", 0.5) | dict.fromkeys(f"±+=<>≤≥{MINUS}", 0.78)
CAPITAL, OTHER = 0.77, 0.56
LINE = 0.75  # of the room in a wrapped line is used, at worst


@dataclass(frozen=True)
class Layout:
    """The size of the type, the columns as ``tabular`` takes them, and how many lines all rows take."""

    size: str
    columns: str
    lines: int


@dataclass(frozen=True)
class _Column:
    """The widths of its ``cells``, beside the size; how ``wide`` it is with its header, and at ``least``: what is below
    the header can be wrapped in a ``label`` alone."""

    label: bool
    cells: tuple[float, ...]
    wide: float
    least: float


def parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """``table``, its columns a few at a time where all are too wide for a page."""
    labels = [_column(texts, label=True) for _, texts in table.index.to_frame().items()]
    points = min(SIZES.values())
    room = TEXT_WIDTH + 2 * GAP - sum(points * label.least + 2 * GAP for label in labels)
    first, taken = 0, 0.0
    for place in range(table.shape[1]):
        width = points * _column(table.iloc[:, place], label=False).least + 2 * GAP
        if taken + width > room and place > first:
            yield table.iloc[:, first:place]
            first, taken = place, 0.0
        taken += width
    yield table.iloc[:, first:]


def lay_out(table: pd.DataFrame) -> Layout:
    flat = table.reset_index()
    columns = [_column(flat.iloc[:, place], label=place < table.index.nlevels) for place in range(flat.shape[1])]
    size, widths = _fitted(columns)
    rows = zip(*(_lines(column, width) for column, width in zip(columns, widths, strict=True)), strict=True)
    formats = [_format(column, width, SIZES[size]) for column, width in zip(columns, widths, strict=True)]
    return Layout(size, f"@{{}}{''.join(formats)}@{{}}", sum(map(max, rows)))


def _fitted(columns: Sequence[_Column]) -> tuple[str, list[float]]:
    """The size, and the widths of the columns beside it."""
    room = TEXT_WIDTH - 2 * GAP * (len(columns) - 1)
    natural = [column.wide for column in columns]
    narrow = [column.wide if column.label else column.least for column in columns]
    for widths in (natural, narrow):
        for size, points in SIZES.items():
            if points * sum(widths) <= room:
                return size, widths
    size, points = list(SIZES.items())[-1]

    def wrapped(most: float) -> list[float]:
        return [max(column.least, min(width, most)) for column, width in zip(columns, narrow, strict=True)]

    low, high = 0.0, max(narrow)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if points * sum(wrapped(middle)) <= room else (low, middle)
    return size, wrapped(low)


def _format(column: _Column, width: float, points: float) -> str:
    if width >= column.wide:
        return "l" if column.label else "r"
    ragged = "\\raggedright" if column.label else "\\raggedleft"
    return f">{{{ragged}\\arraybackslash\\hspace{{0pt}}}}p{{{points * width:.1f}pt}}"


def _lines(column: _Column, width: float) -> list[int]:
    return [math.ceil(cell / (LINE * width)) if cell > width else 1 for cell in column.cells]


def _column(texts: pd.Series[str], *, label: bool) -> _Column:
    header, cells = shown(texts.name), [shown(text) for text in texts]
    least = max(map(_width, [*_words([header]), *(_words(cells) if label else cells)]))
    return _Column(label, tuple(map(_width, cells)), max(map(_width, [header, *cells])), least)


def _words(texts: Sequence[str]) -> Iterator[str]:
    """What cannot be broken."""
    for text in texts:
        for word in re.split(r"\s+|(?<=-)", text):
            yield word[:LONGEST_WORD]


def _width(text: str) -> float:
    return sum(WIDTHS.get(character, CAPITAL if character.isupper() else OTHER) for character in text)
