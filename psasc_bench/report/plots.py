"""Figures from the tidy tables, and from nothing else, as files."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from psasc_bench.files import replacing
from psasc_bench.report import figures, layout, style
from psasc_bench.report.figures import FIGURES
from psasc_bench.report.tables import Tables

# A date or the program's version would make the same figure another file.
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def draw_figure(name: str, results: Path, output: Path, *, dataset: str | None = None) -> list[Path]:
    """Draw the figure ``name`` (a key of ``FIGURES``) from the tables in ``results`` to ``output``, as ``.svg`` and
    ``.pdf``; with ``dataset``, from what they have of that one. Returns their paths.

    The same tables give the same bytes. Where there is nothing to draw, the figure says why. Raises ``ValueError`` for
    an unknown figure, and for one whose table was not asked for; ``OSError`` for an absent table.
    """
    with style.applied():
        drawn = figure(name, Tables(results, dataset))
        layout.lay_out(drawn)
        for suffix, metadata in METADATA.items():
            with replacing(output / f"{name}.{suffix}") as file:
                drawn.savefig(file, format=suffix, metadata=metadata)
    return [output / f"{name}.{suffix}" for suffix in METADATA]


def figure(name: str, tables: Tables) -> Figure:
    """The figure ``name`` of these tables, to look at or save. Raises as ``draw`` does."""
    if name not in FIGURES:
        raise ValueError(f"no figure {name!r}; there are: {', '.join(FIGURES)}")
    if lacking := FIGURES[name].lacks(tables.folder):
        raise ValueError(f"{name}: {lacking}")
    drawn: Figure = import_module(f"{figures.__name__}.{name}").draw(tables)
    return drawn
