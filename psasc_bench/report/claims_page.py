"""What became of the claims, as a page of Markdown."""

from __future__ import annotations

import math
from pathlib import Path

from psasc_bench.analysis import claims_about
from psasc_bench.report.formats import escape_markdown, markdown_table
from psasc_bench.report.tables import Tables

HEADER = """\
{reading}Differences are paired by seed, positive in
favour of the claim, with 95 % t-intervals that are not corrected. A claim is supported by a paired t-test at p < .05
after Holm's correction over the rows of the claim; it is not supported where the contrary is significant, or where two
one-sided t-tests show a tie, for accuracy one within 0.2 points. All else is inconclusive. `claims.csv` has the same,
unrounded. The workflow writes this file."""
READING = """\
What the paper's abstract claims, as tests on this study. {title} is our reading of the paper: the verdicts are about
that reading, on these data sets and models, and no number is the paper's. """
OTHERWISE = "What is claimed of the method under test, as tests on this study. "
COLUMNS = ["dataset", "epsilon", "method", "reference", "verdict", "evidence"]


def render_claims_page(results: Path) -> str:
    """The page, from ``claims.csv`` in ``results``. Raises ``OSError`` for an absent table."""
    tables = Tables(results)
    found = tables.read("claims")
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    claims = claims_about(tables.roles, titles)
    title = tables.reading(tested=True)
    reading = READING.format(title=escape_markdown(title)) if title else OTHERWISE
    lines = ["# Claims", "", HEADER.format(reading=reading), ""]
    for name, rows in found.groupby("claim", sort=False):
        claim = claims[str(name)]
        counts = ", ".join(f"{verdict} {count}" for verdict, count in rows["verdict"].value_counts().items())
        figure = f" [Figure](../{claim.figure})." if claim.figure else ""
        budgets = ["" if math.isnan(epsilon) else f"{epsilon:g}" for epsilon in rows["epsilon"]]
        table = rows.assign(epsilon=budgets)[COLUMNS].fillna("")
        lines += [f"## {name}: {claim.statement}", "", f"{claim.test}{figure} Verdicts: {counts}.", ""]
        lines += [markdown_table(table), ""]
    return "\n".join(lines)
