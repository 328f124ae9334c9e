"""The claims of the DP-PSASC paper's abstract, each decided by the tables of a study, or said to be untested."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench.analysis import claim_tests
from psasc_bench.analysis.claim_tests import EARLIER, INNER, OURS, Tables
from psasc_bench.analysis.comparisons import Finding
from psasc_bench.analysis.results import REFERENCE
from psasc_bench.files import write_text

NAMES = dict.fromkeys(["dataset", "method", "trajectory", "sweep", "settings"], str)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed, and how it is decided: by ``decide`` from ``tables``. Where these do not suffice, ``needs`` says
    what to run. The ``figure`` shows it, if there is one."""

    statement: str
    test: str
    tables: Sequence[str]
    needs: str
    decide: Callable[[Tables], list[Finding]]
    figure: str = ""


def write_claims(paths: Iterable[Path], output: Path) -> None:
    """Write ``claims.csv`` and ``claims.md`` to ``output`` from the tables in ``paths``, known by their files' names.

    Raises ``OSError`` for an absent file.
    """
    found = decide_claims(read_tables(paths))
    write_text(output / "claims.csv", found.to_csv(index=False, lineterminator="\n"))
    write_text(output / "claims.md", report(found))


def read_tables(paths: Iterable[Path]) -> dict[str, pd.DataFrame]:
    """Those of the tables that hold anything, by name."""
    tables = {}
    for path in paths:
        try:
            tables[path.stem] = pd.read_csv(path, dtype=NAMES)
        except pd.errors.EmptyDataError:
            continue
    return {name: table for name, table in tables.items() if len(table)}


def decide_claims(tables: Tables) -> pd.DataFrame:
    """A row per claim and comparison, or one that says what to run where a claim cannot be tested.

    Raises ``ValueError`` for tables that lack a column.
    """
    rows: list[dict[str, Any]] = []
    tables = _of_the_study(tables)
    for name, claim in CLAIMS.items():
        try:
            findings = claim.decide(tables) if set(claim.tables) <= set(tables) else []
        except KeyError as error:
            raise ValueError(f"{name}: the tables have no {error}; `snakemake --cores 8` makes them anew") from error
        findings = findings or [Finding(evidence=f"needs {claim.needs}")]
        rows += [{"claim": name, **asdict(finding), "figure": claim.figure} for finding in findings]
    return pd.DataFrame(rows)


def _of_the_study(tables: Tables) -> Tables:
    """Tables that were made on request may be of other data sets than the study."""
    if "runs" not in tables:
        return tables
    known = set(tables["runs"]["dataset"])
    return {
        name: table[table["dataset"].isin(known)] if "dataset" in table else table for name, table in tables.items()
    }


CLAIMS = {
    "C1": Claim(
        statement="At the same epsilon and delta, DP-PSASC is more accurate than DP-SGD",
        test="Final test accuracy, without and with inner momentum. Here p is corrected for all contestants, budgets "
        "and data sets of the study.",
        tables=["summary", "runs"],
        needs=f"{OURS} and {REFERENCE} in the study: add them to its methods, then `snakemake --cores 8`",
        decide=claim_tests.higher_accuracy,
        figure="figures/accuracy.svg",
    ),
    "C2": Claim(
        statement="It is more accurate than earlier per-example scaling: Auto-S, NSGD and DP-PSAC",
        test="Final test accuracy, without and with inner momentum.",
        tables=["runs"],
        needs=f"{OURS} and one of {', '.join(EARLIER)} in the study: add it to its methods, then `snakemake --cores 8`",
        decide=claim_tests.beats_earlier_scaling,
        figure="figures/accuracy.svg",
    ),
    "C3": Claim(
        statement="The small gradients of late training get their proper weight",
        test="Cosine between the scaled and the true mean gradient, not private, over the last quarter of the epochs. "
        "Within 0.01 is a tie.",
        tables=["curves"],
        needs=f"deviation.csv with {OURS} and another method: `snakemake --cores 8 results/deviation.csv` makes it",
        decide=claim_tests.weighs_small_gradients,
        figure="figures/weights.svg",
    ),
    "C4": Claim(
        statement="It needs no intensive setting of a threshold",
        test="Share of the settings of a grid that come within a point of the method's own best, by accuracy on "
        "validation data. A diverged one does not; within a tenth of the grid is a tie.",
        tables=["sweeps"],
        needs=f"sweeps.csv with {OURS} and another method on validation data: `snakemake --cores 8 results/sweeps.csv` "
        "makes it",
        decide=claim_tests.needs_no_tuning,
    ),
    "C5": Claim(
        statement="Its momentum reduces sampling bias and speeds convergence",
        test="With inner momentum, as the study has it and in each setting that a sweep has tried, against without: "
        "final test accuracy; steps to 95 % of a run's own final accuracy, where within an epoch is a tie; cosine, as "
        "for C3. `epochs` says where it had fewer, for as much computing; there only the accuracy compares.",
        tables=["runs", "curves"],
        needs=f"{INNER} in the study, or sweeps.csv with `iterates` of {OURS} above 1: `snakemake --cores 8 sweeps` "
        "makes it",
        decide=claim_tests.speeds_convergence,
        figure="figures/convergence.svg",
    ),
    "C6": Claim(
        statement="Privacy is preserved",
        test="No attack proves more epsilon than is claimed, and no run spent more than its budget by any of three "
        "accountants. That contradicts nothing; it is no proof.",
        tables=["audit", "ledger"],
        needs=f"audit.csv and ledger.csv with {OURS}: `snakemake --cores 8 results/audit.csv results/ledger.csv` makes "
        "them",
        decide=claim_tests.preserves_privacy,
        figure="figures/audit.svg",
    ),
}


HEADER = """\
What the paper's abstract claims, as tests on this study. DP-PSASC is our reading of the paper: the verdicts are about
that reading, on these data sets and models, and no number is the paper's. Differences are paired by seed, positive in
favour of the claim, with 95 % t-intervals that are not corrected. A claim is supported by a paired t-test at p < .05
after Holm's correction over the rows of the claim; it is not supported where the contrary is significant, or where two
one-sided t-tests show a tie, for accuracy one within 0.2 points. All else is inconclusive. `claims.csv` has the same,
unrounded. The workflow writes this file."""
COLUMNS = ["dataset", "epsilon", "method", "reference", "verdict", "evidence"]


def report(found: pd.DataFrame) -> str:
    """The claims as Markdown."""
    lines = ["# Claims", "", HEADER, ""]
    for name, rows in found.groupby("claim", sort=False):
        claim = CLAIMS[str(name)]
        counts = ", ".join(f"{verdict} {count}" for verdict, count in rows["verdict"].value_counts().items())
        figure = f" [Figure](../{claim.figure})." if claim.figure else ""
        budgets = ["" if math.isnan(epsilon) else f"{epsilon:g}" for epsilon in rows["epsilon"]]
        table = rows.assign(epsilon=budgets)[COLUMNS].to_markdown(index=False, disable_numparse=True)
        lines += [f"## {name}: {claim.statement}", "", f"{claim.test}{figure} Verdicts: {counts}.", "", table, ""]
    return "\n".join(lines)
