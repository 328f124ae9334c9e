"""Weight functions, with the settings that make them."""

from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psasc_bench import methods
from psasc_bench.report import drawing, layout, style
from psasc_bench.report.style import DOUBLE_COLUMN
from psasc_bench.report.tables import Tables

LINE = 0.13  # inches of the legend
LABEL = 28  # characters
GREEK = {key: unicodedata.lookup(f"greek small letter {key}") for key in ("alpha", "eta", "gamma")}
SYMBOLS = GREEK | {"iterates": "k", "decay": "β"}


def draw(tables: Tables) -> Figure:
    """Weight ``w(x)`` and contribution ``x w(x)`` against the gradient norm ``x``, both in units of the sensitivity; so
    is the noise, which makes methods with other thresholds comparable. A row for all data sets with the same
    settings; methods with the same settings and weight, such as those that differ in their update rules, share a line.
    """
    table = tables.weights.copy()
    if table.empty:
        return layout.blank("the study has no private method, and a control has no weight to choose")
    table["settings"] = [_settings(*key, tables) for key in zip(table["dataset"], table["method"], strict=True)]
    groups = _alike(table)
    table["weight"] /= table["sensitivity"]
    table["contribution"] = table["norm"] * table["weight"]
    of_group = {first: table[table["dataset"].isin(datasets)] for first, datasets in groups.items()}
    sharing = {first: _sharing(rows, tables) for first, rows in of_group.items()}
    entries = {first: _entries(rows, sharing[first], tables) for first, rows in of_group.items()}
    lines = max(sum(0.8 + len(text.splitlines()) for text in texts.values()) for texts in entries.values())
    figure = Figure(figsize=(DOUBLE_COLUMN, max(1.9, LINE * lines) * len(groups) + 0.6), layout="constrained")
    panels = figure.subplots(len(groups), 2, squeeze=False)
    for (first, datasets), (left, right) in zip(groups.items(), panels, strict=True):
        rows = of_group[first].drop_duplicates(["method", "norm"])
        _functions(left, right, rows[rows["method"].isin(sharing[first])], tables)
        _legend(right, entries[first], tables)
        if len(groups) > 1:
            layout.heading(left, ", ".join(tables.titles[dataset] for dataset in datasets))
    for axes in panels[-1]:
        axes.set_xlabel("Gradient norm $x$ of an example")
    notes = ["Δ: the sensitivity, which the noise is proportional to. Thin grey line: contribution Δ, the bound."]
    if (study := tables.study) and any(methods.moves(study.implementation(name)) for name in set(table["method"])):
        notes.append("Of settings that move with what was released, the first values.")
    if table["settings"].str.contains("k = ", regex=False).any():
        notes.append("k, β: iterates of inner momentum and their decay.")
    layout.annotate(figure, [], notes)
    return figure


def _settings(dataset: str, method: str, tables: Tables) -> str:
    """The method's hyper-parameters in the study, in words; empty where only tables were handed on."""
    if tables.study is None:
        return ""
    values = methods.parameters_in_use(tables.study.method(dataset, method))
    values |= {key: values.pop(key) for key in ("iterates", "decay") if key in values}  # to the end
    return ", ".join(f"{SYMBOLS.get(key, key)} = {value:g}" for key, value in values.items())


def _alike(table: pd.DataFrame) -> dict[str, list[str]]:
    """The data sets whose methods, as far as both have them, have the same settings and weights, by the first."""
    own: dict[str, dict[str, tuple[str, bytes]]] = {}
    for (dataset, method), rows in table.groupby(["dataset", "method"], sort=False):
        own.setdefault(str(dataset), {})[str(method)] = (rows["settings"].iloc[0], rows["weight"].to_numpy().tobytes())
    groups: dict[str, list[str]] = {}
    for dataset, having in own.items():
        like = (first for first in groups if all(having[key] == own[first][key] for key in having.keys() & own[first]))
        groups.setdefault(next(like, dataset), []).append(dataset)
    return groups


def _sharing(rows: pd.DataFrame, tables: Tables) -> dict[str, list[str]]:
    """The methods that have the same settings and weight, by the first of them."""
    found: dict[tuple[str, bytes], list[str]] = {}
    for method in tables.methods:
        own = rows[rows["method"] == method].drop_duplicates("norm")
        if len(own):
            found.setdefault((own["settings"].iloc[0], own["weight"].to_numpy().tobytes()), []).append(method)
    return {methods[0]: methods for methods in found.values()}


def _entries(rows: pd.DataFrame, sharing: dict[str, list[str]], tables: Tables) -> dict[str, str]:
    """Of each line the titles of its methods and, below them, their settings."""
    settings = dict(zip(rows["method"], rows["settings"], strict=True))
    texts = {
        first: (", ".join(tables.method_titles[method] for method in methods), settings[first])
        for first, methods in sharing.items()
    }
    return {method: "\n".join(layout.wrapped(text, LABEL) for text in both if text) for method, both in texts.items()}


def _legend(axes: Axes, entries: dict[str, str], tables: Tables) -> None:
    handles = [layout.handle(text, tables.looks[method], line=True) for method, text in entries.items()]
    layout.key(axes, handles, gap=0.7)


def _functions(left: Axes, right: Axes, rows: pd.DataFrame, tables: Tables) -> None:
    for axes, column in ((left, "weight"), (right, "contribution")):
        for method, line in rows.groupby("method"):
            drawing.curve(axes, line["norm"], line[column], str(method), tables)
        axes.set(xscale="log", xlim=(rows["norm"].min(), rows["norm"].max()))
        axes.minorticks_off()
    norms = np.sort(rows["norm"].unique())
    left.plot(norms, 1 / norms, color=style.GREY, linewidth=0.5, zorder=1)
    right.axhline(1, color=style.GREY, linewidth=0.5, zorder=1)
    ends = rows.loc[rows["weight"] > 0, "weight"].agg(["min", "max"])
    left.set(yscale="log", ylim=(0.5 * ends["min"], 2 * ends["max"]), ylabel="Weight $w(x)/\\Delta$")
    right.set(ylim=(0, 1.08), ylabel="Contribution $x\\,w(x)/\\Delta$")
    left.minorticks_off()
