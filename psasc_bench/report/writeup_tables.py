"""The tables of the write-up, in Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from psasc_bench.analysis import t_interval
from psasc_bench.report.formats import escape_markdown, markdown_table
from psasc_bench.report.tables import Tables

DIGITS = {"cosine": 3, "steps": 0, "grid": 0}  # by what is in a unit's name; else 2


def accuracies(tables: Tables) -> str:
    """Mean accuracy (percent) of each method, and the difference that the study is about."""
    cells, roles = tables.finished, tables.roles
    methods = list(cells["method"].unique())
    compared = roles.reference and roles.method in methods
    header = ["data set", "epsilon", *(tables.method_titles[method] for method in methods)]
    if compared:
        header.append(f"{tables.method_titles[str(roles.method)]} less {tables.reference_title()}")
    lines = []
    for (dataset, epsilon), rows in cells.groupby(["dataset", "epsilon"], sort=False):
        found = {str(row["method"]): row for _, row in rows.iterrows()}
        means = [f"{100 * found[method]['accuracy_mean']:.2f}" if method in found else "" for method in methods]
        difference = [_difference(found[str(roles.method)]) if roles.method in found else ""] if compared else []
        lines.append([escape_markdown(tables.titles[str(dataset)]), f"{epsilon:g}", *means, *difference])
    return markdown_table(pd.DataFrame(lines, columns=[escape_markdown(title) for title in header])) if lines else ""


def _difference(row: pd.Series[Any]) -> str:
    mean, low, high = (100 * row[f"difference_{end}"] for end in ("mean", "low", "high"))
    if pd.isna(mean):
        return ""
    return f"{mean:+.2f}" if pd.isna(low) else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}], {row['verdict']}"


def comparisons(rows: pd.DataFrame, tables: Tables) -> str:
    """A line for each data set, method, opponent and unit: the range of the differences, and the verdicts."""
    tested = rows[rows["estimate"].notna()]
    if tested.empty:
        return ""
    lines = []
    for (dataset, method, reference, unit), group in tested.groupby(
        ["dataset", "method", "reference", "unit"], sort=False
    ):
        digits = next((digits for word, digits in DIGITS.items() if word in str(unit)), 2)
        low, high = (f"{end:+z.{digits}f}" for end in (group["estimate"].min(), group["estimate"].max()))
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in group["verdict"].value_counts().items())
        lines.append(
            {
                "data set": escape_markdown(tables.titles.get(str(dataset), str(dataset))),
                "method": escape_markdown(tables.method_titles.get(str(method), str(method))),
                "against": escape_markdown(tables.method_titles.get(str(reference), str(reference))),
                "epsilon": ", ".join(f"{epsilon:g}" for epsilon in group["epsilon"].unique()),
                "difference": f"{low} {unit}" if low == high else f"{low} to {high} {unit}",
                "verdicts": verdicts,
            }
        )
    return markdown_table(pd.DataFrame(lines))


def beside_literature(compared: pd.DataFrame) -> str:
    """Our accuracies and published ones, from ``analysis.beside_published``."""
    if compared.empty:
        return ""
    shown = pd.DataFrame(
        {
            "data set": compared["dataset_title"].map(escape_markdown),
            "method": compared["method_title"].map(escape_markdown),
            "epsilon": [f"{epsilon:g}" for epsilon in compared["epsilon"]],
            "ours": _plus_minus(compared, "ours", "half_width_ours"),
            "n": compared["n"].astype(str),
            "published": _plus_minus(compared, "published", "half_width"),
            "source": compared["source"],
            "intervals meet": compared["agrees"].map({True: "yes", False: "no"}).fillna("-"),
        }
    )
    return markdown_table(shown)


def _plus_minus(rows: pd.DataFrame, value: str, half_width: str) -> list[str]:
    return [
        f"{one:.2f}" if pd.isna(half) else f"{one:.2f} ± {half:.2f}"
        for one, half in zip(rows[value], rows[half_width], strict=True)
    ]


def at_other_epsilons(tables: Tables) -> dict[str, list[str]]:
    """By data set, a sentence for each method that a sweep has trained at another epsilon than the study's, with other
    settings if it had several."""
    swept, runs = tables.requested("sweeps", any_epsilon=True), tables.read("runs")
    if swept.empty:
        return {}
    studied = set(zip(runs["dataset"], runs["epsilon"], strict=True))
    tested = swept[(swept["evaluation"] == "test") & (swept["status"] == "done")]
    found: dict[str, list[str]] = {}
    for (dataset, epsilon, method), rows in tested.groupby(["dataset", "epsilon", "method"], sort=False):
        if (dataset, epsilon) in studied:
            continue
        where = (
            f"{escape_markdown(tables.method_titles[str(method)])} on {escape_markdown(tables.titles[str(dataset)])}"
        )
        for settings, trial in rows.groupby("settings", sort=False):
            mean, low, _ = t_interval(100 * trial["accuracy"].to_numpy(dtype=float))
            accuracy = f"{mean:.2f}" if pd.isna(low) else f"{mean:.2f} ± {mean - low:.2f}"
            having = f" with `{settings}`" if rows["settings"].nunique() > 1 else ""
            said = f"At epsilon {epsilon:g}, {where}{having} has {accuracy} % ({len(trial)} seeds)."
            found.setdefault(str(dataset), []).append(said)
    return found
