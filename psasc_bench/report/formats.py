"""A table for people as Markdown, LaTeX (booktabs) and HTML, in all of which titles are text, whatever they hold."""

from __future__ import annotations

import html as markup
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

RULES = "docs/claims.md"
MINUS = "\N{MINUS SIGN}"
LATEX = {"ε": r"$\varepsilon$", "∞": r"$\infty$", "±": r"$\pm$", MINUS: "$-$"}
SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}
# What Markdown could take for markup; elsewhere these characters are what they look like.
MARKDOWN = re.compile(
    r"[\\`*|~$]"
    r"|(?<!\w)_|_(?!\w)"  # emphasis
    r"|^\[|\](?=[\[(:])"  # tasks and links
    r"|(?:^|(?<=\s))[#>]"  # headings and quotations, where a line begins or comes to be broken
    r"|^[-+](?=\s)|(?<=\s)[-+=](?=\s|$)"  # lists and rules
)
NUMBERED = re.compile(r"^(\d+)([.)])(?=\s)")
TAGS = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")


@dataclass(frozen=True)
class Table:
    """``rows`` are unrounded; ``shown`` has the same rows as text, under an index of what they are about."""

    rows: pd.DataFrame
    shown: pd.DataFrame
    caption: str


def escape_markdown(text: str) -> str:
    """``text`` so that Markdown shows it as it is, in a line or in the cell of a table."""
    untagged = TAGS.sub(lambda found: markup.escape(found[0]), text)
    return NUMBERED.sub(r"\1\\\2", MARKDOWN.sub(r"\\\g<0>", untagged))


def escape_latex(title: object) -> str:
    text = str(title)
    escaped = "".join(SPECIAL.get(character, character) for character in text)
    # behind the end of a row these would be its arguments
    return f"{{{escaped[0]}}}{escaped[1:]}" if text.startswith(("[", "*")) else escaped


def rules_link(results: Path, page: Path) -> str:
    """How claims are decided, as a link from ``page``; where ``results`` are in no clone, only named."""
    rules = results.absolute().parent / RULES
    if not rules.exists():
        return f"`{RULES}` of psasc-bench"
    return f"[{RULES}]({Path(os.path.relpath(rules, page.absolute().parent)).as_posix()})"


def markdown_table(rows: pd.DataFrame, align: Sequence[str] | None = None) -> str:
    """The ``rows``, which are text, as they are: whoever fills them escapes what has to be."""
    return str(rows.to_markdown(index=False, disable_numparse=True, colalign=align if len(rows) else None))


def markdown(table: Table) -> str:
    flat = table.shown.reset_index()
    align = ["left" if column in table.shown.index.names else "right" for column in flat]
    escaped = flat.map(lambda text: escape_markdown(str(text))).rename(columns=escape_markdown)
    return f"{escape_markdown(table.caption)}\n\n{markdown_table(escaped, align)}"


def latex(table: Table, *, label: str) -> str:
    styler = table.shown.reset_index().style.hide(axis="index").format(escape_latex)
    text = styler.format_index(escape_latex, axis="columns").to_latex(
        hrules=True,
        column_format=_column_format(table),
        position="tbp",
        position_float="centering",
        caption=escape_latex(table.caption),
        label=f"tab:{label}",
    )
    for character, command in LATEX.items():
        text = text.replace(character, command)
    return text


def _column_format(table: Table) -> str:
    return "l" * table.shown.index.nlevels + "r" * len(table.shown.columns)


def html(table: Table) -> str:
    caption = markup.escape(table.caption, quote=False)
    styler = table.shown.reset_index().style.hide(axis="index").format(escape="html").set_caption(caption)
    styler = styler.format_index(escape="html", axis="columns").set_table_styles(_STYLES)
    return styler.to_html(doctype_html=True, table_uuid="table", exclude_styles=False)


_STYLES: list[Any] = [
    {"selector": "", "props": "border-collapse: collapse; font: 14px sans-serif; font-variant-numeric: tabular-nums"},
    {"selector": "caption", "props": "text-align: left; padding-bottom: 8px; max-width: 60em"},
    {"selector": "th, td", "props": "padding: 3px 10px; text-align: right; border-bottom: 1px solid #ccc"},
    {"selector": "th:nth-child(-n+3), td:nth-child(-n+3)", "props": "text-align: left"},
]
