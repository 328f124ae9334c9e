"""The tables of the write-up, in Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from psasc_bench.analysis import t_interval
from psasc_bench.report.formats import escape_markdown, interval, markdown_table
from psasc_bench.report.sentences import POINTS
from psasc_bench.report.tables import Tables


def primary_comparisons(tables: Tables) -> str:
    """A line for each data set on which the method under test has been run beside the reference, and one for all."""
    roles = tables.roles
    found = tables.comparisons
    found = found[(found["method"] == roles.method) & (found["reference"] == roles.reference) & (found["n"] > 0)]
    if found.empty:
        return ""
    method, reference = (tables.method_titles[str(name)] for name in (roles.method, roles.reference))
    return comparison_lines(found, tables, f"{method} minus {reference}", over_all=tables.answer)


def other_methods(tables: Tables) -> dict[str, str]:
    """By title of a data set, a line for each method beside those that the claims are about, against the reference."""
    roles = tables.roles
    found = tables.comparisons
    named = [name for name in (roles.method, roles.momentum, *roles.earlier) if name]
    found = found[(found["reference"] == roles.reference) & ~found["method"].isin(named) & (found["n"] > 0)]
    header = f"minus {tables.reference_title()}"
    return {
        escape_markdown(tables.titles[str(name)]): comparison_lines(rows, tables, header)
        for name, rows in found.groupby("dataset", sort=False)
    }


def comparison_lines(found: pd.DataFrame, tables: Tables, header: str, *, over_all: pd.DataFrame | None = None) -> str:
    """Of rows of comparisons.csv: of one pair on several data sets, with the mean over these from answer.csv if that is
    given, or of several methods on one."""
    by_method = found["dataset"].nunique() == 1 and over_all is None
    lines = [
        {
            **(
                {"method": escape_markdown(tables.method_titles[str(row["method"])])}
                if by_method
                else {"data set": escape_markdown(tables.titles[str(row["dataset"])])}
            ),
            "epsilon": row["budgets"],
            "seeds": str(row["n"]),
            escape_markdown(header): interval(*(100 * row[end] for end in ("mean", "low", "high"))),
            "sign": _word(row, "sign"),
            f"within ±{POINTS}": _word(row, "within"),
            f"gain of {POINTS}": {"yes": "excluded", "no": "not excluded"}.get(str(row["gain_excluded"]), "-"),
            "detectable": "-" if pd.isna(row["detectable"]) else f"{100 * row['detectable']:.2f}",
        }
        for _, row in found.iterrows()
    ]
    if over_all is not None:
        pair = found.iloc[0]
        same = (over_all["method"] == pair["method"]) & (over_all["reference"] == pair["reference"])
        for _, row in over_all[same & (over_all["datasets"] > 1)].iterrows():
            mean = interval(*(100 * row[end] for end in ("mean", "low", "high")))
            tuned = ", each method tuned" if row["tuned"] else ""
            lines.append({"data set": f"mean of {row['datasets']} data sets{tuned}", escape_markdown(header): mean})
    return markdown_table(pd.DataFrame(lines).fillna(""))


def _word(row: pd.Series[Any], column: str) -> str:
    if not row["decides"]:
        return "decides nothing" if column == "sign" else "-"
    return str(row[column]) if isinstance(row[column], str) else "-"


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
