"""What became of the claims, as a page of Markdown."""

from __future__ import annotations

from pathlib import Path

from psasc_bench.analysis import claims_about
from psasc_bench.report.formats import escape_markdown, markdown_table, rules_link, with_minus_signs
from psasc_bench.report.tables import Tables

HEADER = """\
{reading}How they are decided: {rules}. A primary comparison is one per data set: differences paired by seed, positive
in favour of the claim, with 95 % t-intervals; sign and size are said at .05 after Holm's correction over the data sets.
What is descriptive has no word. `claims.csv` has the same, unrounded. The workflow writes this file."""
READING = """\
What the paper's abstract claims, as tests on this study. {title} is our reading of the paper: what is said is about
that reading, on these data sets and models, and no number is the paper's. """
OTHERWISE = "What is claimed of the method under test, as tests on this study. "
COLUMNS = ["dataset", "epsilon", "method", "reference", "measure", "evidence"]
KINDS = {True: "Primary comparisons:", False: "Descriptive:"}


def render_claims_page(results: Path) -> str:
    """The page, from ``claims.csv`` in ``results``. Raises ``OSError`` for an absent table."""
    tables = Tables(results)
    found = tables.claims
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    claims = claims_about(tables.roles, titles)
    title = tables.reading(tested=True)
    reading = READING.format(title=escape_markdown(title)) if title else OTHERWISE
    lines = ["# Claims", "", HEADER.format(reading=reading, rules=rules_link(results, results / "claims.md")), ""]
    for name, rows in found.groupby("claim", sort=False):
        claim = claims[str(name)]
        figure = f" [Figure](../{claim.figure})." if claim.figure else ""
        lines += [f"## {name}: {claim.statement}", "", f"{claim.test}{figure}", ""]
        tested = rows[(rows["n"] > 0) | rows["sign"].notna()]  # an attack may refute what has no ledger yet
        if tested.empty:
            lines += [f"Not tested: {rows['evidence'].iloc[0]}.", ""]
        for primary, of_kind in sorted(tested.groupby("primary"), reverse=True):
            table = of_kind[COLUMNS].rename(columns={"dataset": "data set", "reference": "against"}).fillna("")
            table["evidence"] = table["evidence"].map(with_minus_signs)
            lines += [KINDS[bool(primary)], "", markdown_table(table.loc[:, (table != "").any()]), ""]
        for dataset in rows.loc[(rows["n"] == 0) & rows["dataset"].notna(), "dataset"].unique():
            lines += [f"On {dataset}: no pair of finished runs.", ""]
    return tables.as_called("\n".join(lines))
