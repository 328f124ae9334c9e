"""A table for people as Markdown and HTML, in which titles are text, whatever they hold; as LaTeX, see ``latex``."""

from __future__ import annotations

import html as markup
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psasc_bench.analysis import signed

RULES = "docs/claims.md"
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
# What Markdown could take for markup; elsewhere these characters are what they look like.
MARKDOWN = re.compile(
    r"[\\`*|~$]"
    r"|(?<!\w)_|_(?!\w)"  # emphasis
    r"|^\[|\](?=[\[(:])"  # tasks and links
    r"|(?:^|(?<=\s))[#>]"  # headings and quotations, where a line begins or comes to be broken
    r"|^[-+](?=\s)|(?<=\s)[-+](?=\s|$)|(?:^|(?<=\s))=(?=[=\s]*$)"  # lists and rules
)
NEGATIVE = re.compile(r"(?<![\w.)-])-(?=\.?\d)")
NUMBERED = re.compile(r"^(\d+)([.)])(?=\s)")
TAGS = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")
STYLE = """\
body { font: 14px sans-serif; max-width: 60em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid #ccc }
"""


@dataclass(frozen=True)
class Block:
    """Rows of a table as text, under an index of what they are about; ``notes`` stand above them, and ``name`` tells
    them from other blocks."""

    shown: pd.DataFrame
    name: str = ""
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """``rows`` are unrounded, ``blocks`` the same for people; ``cite`` is the command that prints a number of them with
    all that belongs to it."""

    rows: pd.DataFrame
    caption: str
    blocks: tuple[Block, ...]
    cite: str = ""

    @property
    def how_to_cite(self) -> tuple[str, str, str]:
        """A sentence in three parts, of which the second is code."""
        known = "with its settings and interval and, where its records are at hand, commit and date"
        return "To cite a number, ", self.cite, f" prints it {known}."


def escape_markdown(text: str) -> str:
    """``text`` so that Markdown shows it as it is, in a line or in the cell of a table."""
    untagged = TAGS.sub(lambda found: markup.escape(found[0]), text)
    return NUMBERED.sub(r"\1\\\2", MARKDOWN.sub(r"\\\g<0>", untagged))


def difference(value: float, digits: int = 2) -> str:
    """With its sign, and a minus that is one."""
    return signed(value, digits).replace("-", MINUS)


def interval(mean: float, low: float, high: float, *, digits: int = 2, differences: bool = True) -> str:
    """``+0.12 [-0.03, +0.27]`` with minus signs, and no plus signs for numbers that are no ``differences``; without an
    interval where there is none."""
    mean_, low_, high_ = (
        difference(value, digits) if differences else f"{value:.{digits}f}".replace("-", MINUS)
        for value in (mean, low, high)
    )
    return mean_ if pd.isna(low) else f"{mean_} [{low_}, {high_}]"


def with_minus_signs(text: str) -> str:
    """Where a hyphen stands before a number of its own, as in the text of the tables, a minus sign."""
    return NEGATIVE.sub(MINUS, text)


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
    parts = [escape_markdown(table.caption)]
    for block in table.blocks:
        parts += [f"## {escape_markdown(block.title)}"] if block.title else []
        parts += [*map(escape_markdown, block.notes), _markdown_block(block.shown)]
    if table.cite:
        before, command, after = table.how_to_cite
        parts.append(f"{before}`{command}`{after}")
    return "\n\n".join(parts)


def _markdown_block(shown: pd.DataFrame) -> str:
    flat = shown.reset_index()
    align = ["left" if column in shown.index.names else "right" for column in flat]
    return markdown_table(flat.map(lambda text: escape_markdown(str(text))).rename(columns=escape_markdown), align)


def html(table: Table) -> str:
    parts = [f"<p>{_text(table.caption)}</p>"]
    for number, block in enumerate(table.blocks):
        parts += [f"<h2>{_text(block.title)}</h2>"] if block.title else []
        parts += [*(f"<p>{_text(note)}</p>" for note in block.notes), _html_block(block.shown, f"table{number}")]
    if table.cite:
        before, command, after = map(_text, table.how_to_cite)
        parts.append(f"<p>{before}<code>{command}</code>{after}</p>")
    head = f'<meta charset="utf-8">\n<title>Table</title>\n<style>\n{STYLE}</style>'
    return "\n".join(["<!DOCTYPE html>", '<html lang="en">', head, *parts, "</html>", ""])


def _html_block(shown: pd.DataFrame, uuid: str) -> str:
    left = f"th:nth-child(-n+{shown.index.nlevels}), td:nth-child(-n+{shown.index.nlevels})"
    styler = shown.reset_index().style.hide(axis="index").format(escape="html").format_index(escape="html", axis=1)
    return styler.set_table_styles([{"selector": left, "props": "text-align: left"}]).to_html(table_uuid=uuid)


def _text(text: str) -> str:
    return markup.escape(text, quote=False)
