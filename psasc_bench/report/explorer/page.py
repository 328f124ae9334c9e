"""The page as a file: a template, a style sheet and a script of ours, Vega, and what a study has to show."""

from __future__ import annotations

import html
import json
import math
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vl_convert

from psasc_bench.files import write_text
from psasc_bench.report.explorer import colors
from psasc_bench.report.explorer.charts import VEGA_LITE
from psasc_bench.report.explorer.contents import CLOSE, contents, heading
from psasc_bench.report.explorer.figures import figures
from psasc_bench.report.style import Look
from psasc_bench.report.tables import Tables

DIGITS = 4  # significant ones: a page twice as large would show nothing more
LISTED = {
    "answer": "Mean over data sets",
    "comparisons": "Primary comparisons",
    "summary": "Each data set, budget and method",
    "claims": "Claims",
    "runs": "Runs",
    "sweeps": "Sweeps over settings",
    "audit": "Audits",
    "cost": "Cost of a step",
}


def _configuration(study: Path) -> str:
    """That of the study without the folders where its files are, which say nothing of it; empty if there is none."""
    if not study.exists():
        return ""
    return json.dumps(_without_folders(json.loads(study.read_text(encoding="utf-8"))), indent=1, ensure_ascii=False)


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(each) for key, each in value.items() if key != "data_root"}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value


def write_explorer(results: Path, output: Path) -> None:
    """Write the page to ``output``, from the tidy tables in ``results`` and nothing else; of those, only ``audit``,
    ``claims``, ``sweeps``, ``cost`` and ``deviation`` may be absent. Raises ``OSError`` or ``ValueError`` for an absent
    table.
    """
    tables = Tables(results)
    offered = tables.summary if tables.finished.empty else tables.finished
    looks = {method: look for method, look in tables.looks.items() if method in set(offered["method"])}
    compared = [method for method in looks if method not in tables.controls]
    datasets = list(offered["dataset"].unique())
    held = contents(tables)
    page = {
        "datasets": {name: tables.titles[name] for name in datasets},
        "first": _first(datasets, held.get("comparisons", pd.DataFrame())),
        # A control is shown on request, unless there is nothing else.
        "methods": [_entry(name, look, tables, shown=name in (compared or looks)) for name, look in looks.items()],
        "epsilons": [number(epsilon) for epsilon in sorted(offered["epsilon"].unique())],
        "figures": [asdict(figure) for figure in figures(held, looks, tables)],
        "listed": {name: title for name, title in LISTED.items() if name in held},
        "headings": {column: heading(column) for frame in held.values() for column in map(str, frame)},
        "tables": {name: packed(frame) for name, frame in held.items()},
        "configuration": _configuration(results / "study.json"),
    }
    filled = json.dumps(page, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    parts = {
        "/* colours */": colors.properties(looks.values()),
        "/* style */": _file("page.css"),
        "<!-- evaluated -->": tables.evaluated.removesuffix(","),
        "<!-- reading -->": _reading(tables.reading()),
        "<!-- margin -->": CLOSE,
        "/* vega */": _vega(),
        "/* script */": _file("page.js"),
        # It may hold anything but a "<", which could end the element that it stands in.
        "/* page */": filled.replace("<", "\\u003c"),
    }
    text = _file("page.html")
    for marker, part in parts.items():
        text = text.replace(marker, part, 1)
    write_text(output, text)


def _first(offered: list[str], primary: pd.DataFrame) -> str:
    """The data set that is shown at first: one that decides something, if there is any."""
    deciding = set(primary.loc[primary["decides"], "dataset"]) if len(primary) else set()
    return next((name for name in offered if name in deciding), offered[0])


def _entry(name: str, look: Look, tables: Tables, *, shown: bool) -> dict[str, Any]:
    dashes = " ".join(f"{2 * part:g}" for part in look.dashes if part is not None)
    return {"name": name, "title": tables.method_titles[name], "dashes": dashes, "shown": shown}


def packed(table: pd.DataFrame) -> dict[str, Any]:
    """By column: the values, or where these are text, the distinct ones and the place of each among them."""
    return {str(column): _packed(table[column]) for column in table}


def _packed(column: pd.Series[Any]) -> Any:
    if pd.api.types.is_numeric_dtype(column):
        return [number(value) for value in column]
    places, distinct = pd.factorize(column)
    return {"distinct": [number(value) for value in distinct], "places": places.tolist()}


def number(value: Any) -> Any:
    """As JSON knows it, rounded to ``DIGITS`` unless it is a whole number: nothing for what is not there, and
    infinities as text."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        if math.isinf(value) or float(value).is_integer():
            return str(value) if math.isinf(value) else int(value)
        rounded = float(f"{value:.{DIGITS}g}")
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, np.integer):
        return int(value)
    return None if pd.isna(value) else value


def _file(name: str) -> str:
    return resources.files("psasc_bench.report.explorer").joinpath(name).read_text(encoding="utf-8")


def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed, as text that can stand in a script element."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", vl_version=VEGA_LITE)
    return bundle.replace("</script", "<\\/script")


def _reading(title: str) -> str:
    return f" {html.escape(title)} is our\n    reading of the paper." if title else ""
