"""What the comparisons of a study say, in sentences made from the words and numbers of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from psasc_bench.analysis import MARGIN
from psasc_bench.report.formats import escape_markdown, interval
from psasc_bench.report.protocol import listed
from psasc_bench.report.tables import Tables

POINTS = f"{100 * MARGIN:g} points"
ENDS = ("mean", "low", "high")
SIGNS = ("higher", "lower", "identical", "unresolved")


def answer(tables: Tables) -> str:
    """Whether the method under test is more accurate than the reference, in two sentences; empty where the study lacks
    one of the two."""
    roles = tables.roles
    if not (roles.method and roles.reference):
        return ""
    method, reference = (escape_markdown(tables.method_titles[name]) for name in (roles.method, roles.reference))
    rows = _of_pair(tables.comparisons, roles.method, roles.reference)
    decided = rows[rows["decides"] & (rows["n"] > 1)]
    shown = decided[~decided["tuned"]] if (~decided["tuned"]).any() else decided
    if shown.empty:
        return f"Whether {method} is more accurate than {reference} is not decided: {_why_not(rows, tables)}."
    said, excluded = signs(shown, tables), (shown["gain_excluded"] == "yes") | (shown["sign"] == "identical")
    if excluded.all() and not (shown["sign"] == "higher").any():
        where = title_of(shown.iloc[0], tables) if len(shown) == 1 else f"any of {len(shown)} data sets"
        first = f"{method} does not gain {POINTS} of test accuracy over {reference} on {where}: it is {said}"
    elif (shown["sign"] == "higher").all():
        first = f"{method} is more accurate than {reference}: its accuracy is {said}"
    else:
        first = f"the accuracy of {method}, compared with {reference}, is {said}"
        first += f"; a gain of {POINTS} is excluded on {_titles(shown[excluded], tables) or 'none'}"
    return f"At the same epsilon and delta, {first}. {_mean(tables, tuned=bool(shown['tuned'].iloc[0]))}".strip()


def _mean(tables: Tables, *, tuned: bool) -> str:
    found = _of_pair(tables.answer, str(tables.roles.method), str(tables.roles.reference))
    found = found[(found["tuned"] == tuned) & (found["datasets"] > 1)]
    if found.empty:
        return ""
    row = found.iloc[0]
    mean = interval(*(100 * float(row[end]) for end in ENDS))
    return (
        f"Over the {row['datasets']} data sets the mean difference is {mean} points, and the probability of a gain of "
        f"more than {POINTS} on a further one, by a hierarchical model of these, is "
        f"{_probability(row['probability_higher'])}."
    )


def _probability(value: float) -> str:
    return "below 0.01" if value < 0.01 else "above 0.99" if value > 0.99 else f"{value:.2f}"


def _why_not(rows: pd.DataFrame, tables: Tables) -> str:
    few = rows[~rows["decides"] & (rows["n"] > 0)]
    if few.empty:
        return "that takes two seeds or more of both on one data set"
    means = [f"{number(row)} points on {title_of(row, tables)}" for _, row in few.iterrows()]
    return f"the difference is {listed(means)}, where one test example is more than {POINTS}"


def signs(rows: pd.DataFrame, tables: Tables) -> str:
    """``lower on A (-0.4 [-0.6, -0.2]) and unresolved on B and C``, of primary ``rows`` of one pair and measure."""
    parts = []
    for sign in SIGNS:
        of_sign = rows[rows["sign"] == sign]
        numbered = sign in ("higher", "lower")
        named = [
            f"{title_of(row, tables)} ({number(row)})" if numbered else title_of(row, tables)
            for _, row in of_sign.iterrows()
        ]
        if named:
            parts.append(f"{sign} on {listed(named)}")
    return listed(parts)


def signs_and_size(rows: pd.DataFrame, tables: Tables) -> str:
    """The ``signs``, and on which data sets the difference is within the margin."""
    within = rows[rows["within"] == "yes"]
    if within.empty:
        return signs(rows, tables)
    where = f"all {len(rows)}" if len(within) == len(rows) > 2 else _titles(within, tables)
    return f"{signs(rows, tables)}; within ±{POINTS} on {where}"


def counted(rows: pd.DataFrame) -> str:
    """``of 9 comparisons higher in 1 and unresolved in 8; …``, of primary ``rows`` of several pairs."""
    found = [f"{sign} in {count}" for sign in SIGNS if (count := int((rows["sign"] == sign).sum()))]
    parts = [f"{listed(found)} of {len(rows)} comparisons"]
    if len(rows) == 1:
        parts = [f"{rows['sign'].iloc[0]} in the one comparison"]
    if count := int((rows["within"] == "yes").sum()):
        parts.append(f"within ±{POINTS} in {count}")
    if count := int((rows["gain_excluded"] == "yes").sum()):
        parts.append(f"a gain of {POINTS} excluded in {'all' if count == len(rows) else count}")
    return "; ".join(parts)


def shares(pairs: Sequence[tuple[str, float]]) -> str:
    """``A 31 % and B 44 %``, of titles and fractions."""
    return listed([f"{escape_markdown(title)} {100 * share:.0f} %" for title, share in pairs])


def number(row: Any) -> str:
    if "estimate" in row:  # of claims.csv, in its unit
        digits = 3 if row["unit"] == "in cosine" or abs(row["estimate"]) < 0.005 else 2
        return interval(*(float(row[end]) for end in ("estimate", "low", "high")), digits=digits)
    return interval(*(100 * float(row[end]) for end in ENDS))


def _titles(rows: pd.DataFrame, tables: Tables) -> str:
    return listed([title_of(row, tables) for _, row in rows.iterrows()])


def title_of(row: Any, tables: Tables) -> str:
    return escape_markdown(tables.titles.get(str(row["dataset"]), str(row["dataset"])))


def _of_pair(table: pd.DataFrame, method: str, reference: str) -> pd.DataFrame:
    return table[(table["method"] == method) & (table["reference"] == reference)]
