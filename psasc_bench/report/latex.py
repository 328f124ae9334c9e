"""A table as LaTeX: a float for each block, in packages that come with every LaTeX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from psasc_bench.report.formats import Block, Table
from psasc_bench.report.latex_layout import GAP, Layout, lay_out, parts
from psasc_bench.report.latex_text import escape_latex

MOST_LINES = 45  # more may not fit a page


def latex(table: Table, *, label: str) -> str:
    """Blocks that may be longer than a page are a ``longtable`` each."""
    before, command, after = table.how_to_cite
    lines = ["% Needs \\usepackage{array, booktabs, longtable}."]
    lines += [f"% {before}{command}{after}"] if table.cite else []
    for block in table.blocks:
        caption = escape_latex(f"{block.title}. {table.caption}" if block.title else table.caption)
        name = f"tab:{label}-{block.name}" if block.name else f"tab:{label}"
        laid_out = [(part, lay_out(part)) for part in parts(block.shown)]
        long = sum(layout.lines for _, layout in laid_out) > MOST_LINES
        lines += ["", *(_long if long else _float)(laid_out, caption, name, _notes(block))]
    return "\n".join(lines) + "\n"


def _float(laid_out: list[tuple[pd.DataFrame, Layout]], caption: str, label: str, notes: str) -> Iterator[str]:
    yield f"\\begin{{table}}[tbp]\n\\caption{{{caption}}}\n\\label{{{label}}}\n{notes}\\centering"
    for part, layout in laid_out:
        yield f"{_size(layout)}%\n{_tabular(part, layout)}}}\\par\\smallskip"
    yield "\\end{table}"


def _long(laid_out: list[tuple[pd.DataFrame, Layout]], caption: str, label: str, notes: str) -> Iterator[str]:
    yield notes
    for number, (part, layout) in enumerate(laid_out):
        named = {"caption": caption, "label": label} if number == 0 else {}
        yield f"{_size(layout)}%\n{_tabular(part, layout, environment='longtable', **named)}}}"


def _notes(block: Block) -> str:
    notes = "\n".join(f"{escape_latex(note)}\\par\\smallskip" for note in block.notes)
    return f"{{\\footnotesize\\raggedright\\smallskip {notes}}}\n" if notes else "\\smallskip\n"


def _size(layout: Layout) -> str:
    return f"{{\\{layout.size}\\setlength{{\\tabcolsep}}{{{GAP:g}pt}}"


def _tabular(shown: pd.DataFrame, layout: Layout, **how: Any) -> str:
    escaped = shown.reset_index().map(escape_latex)
    styler = escaped.style.hide(axis="index").format_index(escape_latex, axis="columns")
    return str(styler.to_latex(hrules=True, column_format=layout.columns, **how))
