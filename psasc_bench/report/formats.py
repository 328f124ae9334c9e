"""A table for people as Markdown, LaTeX (booktabs) and HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

MINUS = "\N{MINUS SIGN}"
LATEX = {"ε": r"$\varepsilon$", "∞": r"$\infty$", "±": r"$\pm$", MINUS: "$-$"}


@dataclass(frozen=True)
class Table:
    """``rows`` are unrounded; ``shown`` has the same rows as text, under an index of what they are about."""

    rows: pd.DataFrame
    shown: pd.DataFrame
    caption: str


def markdown(table: Table) -> str:
    flat = table.shown.reset_index()
    align = ["left" if column in table.shown.index.names else "right" for column in flat]
    escaped = flat.map(lambda text: str(text).replace("|", r"\|"))
    return f"{table.caption}\n\n{escaped.to_markdown(index=False, disable_numparse=True, colalign=align)}"


def latex(table: Table, *, label: str) -> str:
    styler = table.shown.reset_index().style.hide(axis="index").format(escape="latex")
    text = styler.format_index(escape="latex", axis="columns").to_latex(
        hrules=True,
        column_format=_column_format(table),
        position="tbp",
        position_float="centering",
        caption=table.caption.replace("%", r"\%"),
        label=f"tab:{label}",
    )
    for character, command in LATEX.items():
        text = text.replace(character, command)
    return text


def _column_format(table: Table) -> str:
    return "l" * table.shown.index.nlevels + "r" * len(table.shown.columns)


def html(table: Table) -> str:
    styler = table.shown.reset_index().style.hide(axis="index").format(escape="html").set_caption(table.caption)
    styler = styler.format_index(escape="html", axis="columns").set_table_styles(_STYLES)
    return styler.to_html(doctype_html=True, table_uuid="table", exclude_styles=False)


_STYLES: list[Any] = [
    {"selector": "", "props": "border-collapse: collapse; font: 14px sans-serif; font-variant-numeric: tabular-nums"},
    {"selector": "caption", "props": "text-align: left; padding-bottom: 8px; max-width: 60em"},
    {"selector": "th, td", "props": "padding: 3px 10px; text-align: right; border-bottom: 1px solid #ccc"},
    {"selector": "th:nth-child(-n+3), td:nth-child(-n+3)", "props": "text-align: left"},
]
