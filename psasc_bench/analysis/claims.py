"""The claims of the DP-PSASC paper's abstract, each decided by the tables of a study, or said to be untested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench.analysis import claim_tests
from psasc_bench.analysis.claim_tests import Finding, Tables
from psasc_bench.analysis.tidy import REQUESTED, default_roles, of_the_study, read_study, read_table
from psasc_bench.files import write_text
from psasc_bench.study import Roles

NAMES = ["method", "method_title", "control"]  # what the runs are to say of each method


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed, and how it is decided: by ``decide`` from ``tables``. Where these do not suffice, ``needs`` says
    what to run. The ``figure`` shows it, if there is one."""

    statement: str
    test: str
    tables: Sequence[str]
    needs: str
    decide: Callable[[Tables, Roles], list[Finding]]
    figure: str = ""


def write_claims(paths: Iterable[Path], output: Path) -> None:
    """Write ``claims.csv`` to ``output`` from the tables in ``paths``, known by their files' names. What of those made
    on request is not known to be of the study in ``output`` takes no part.

    Raises ``OSError`` for an absent file, ``ValueError`` for tables that lack a column.
    """
    study, tables = read_study(output), {}
    for path in paths:
        table = read_table(path)
        if path.stem in REQUESTED:
            table = of_the_study(table, study) if study else table.head(0)
        if len(table):
            tables[path.stem] = table
        if path.stem == "runs" and (lacking := [column for column in NAMES if column not in table]):
            raise ValueError(f"{path}: has no column {lacking[0]!r}; `snakemake --cores 8` makes it anew")
    runs = tables.get("runs", pd.DataFrame(columns=NAMES))
    roles = study.roles() if study else default_roles(runs)
    claims = claims_about(roles, dict(zip(runs["method"], runs["method_title"], strict=True)))
    found = decide_claims(tables, roles, claims)
    write_text(output / "claims.csv", found.to_csv(index=False, lineterminator="\n"))


def decide_claims(tables: Tables, roles: Roles, claims: Mapping[str, Claim]) -> pd.DataFrame:
    """A row per claim and comparison, or one that says what to run where a claim cannot be tested.

    Raises ``ValueError`` for tables that lack a column.
    """
    rows: list[dict[str, Any]] = []
    for name, claim in claims.items():
        testable = roles.method is not None and set(claim.tables) <= set(tables)
        try:
            findings = claim.decide(tables, roles) if testable else []
        except KeyError as error:
            raise ValueError(f"{name}: the tables have no {error}; `snakemake --cores 8` makes them anew") from error
        findings = findings or [Finding(evidence=f"needs {claim.needs}")]
        rows += [{"claim": name, **asdict(finding), "figure": claim.figure} for finding in findings]
    return pd.DataFrame(rows)


def claims_about(roles: Roles, titles: Mapping[str, str]) -> dict[str, Claim]:
    """The claims by name, about the methods in these roles, with the ``titles`` of methods by name."""
    method = roles.method or "a method under test"
    momentum = roles.momentum or f"{method}-inner"
    reference = roles.reference or "a reference"
    tested, standard = titles.get(method, method), titles.get(reference, reference)
    earlier = [titles.get(name, name) for name in roles.earlier]
    listed = " and ".join([", ".join(earlier[:-1]), earlier[-1]] if len(earlier) > 1 else earlier)
    return {
        "C1": Claim(
            statement=f"At the same epsilon and delta, {tested} is more accurate than {standard}",
            test="Final test accuracy, per data set the mean over its budgets, without and with inner momentum.",
            tables=["runs"],
            needs=f"{method} and {reference} in the study: add them to its methods, then `snakemake --cores 8`",
            decide=claim_tests.higher_accuracy,
            figure="figures/forest.svg",
        ),
        "C2": Claim(
            statement="It is more accurate than earlier per-example scaling" + (f": {listed}" if listed else ""),
            test="As for C1, against each of them.",
            tables=["runs"],
            needs=f"{method} and an earlier method in the study: add it to its methods, then `snakemake --cores 8`",
            decide=claim_tests.beats_earlier_scaling,
            figure="figures/accuracy.svg",
        ),
        "C3": Claim(
            statement="The small gradients of late training get their proper weight",
            test="At iterates that all methods share, over all training examples and the last quarter of the epochs: "
            "how much nearer to a quarter of the weight the quarter of the examples with the smallest gradients gets; "
            "the effective sample size; the expected cosine between what a step releases and the true gradient. Not "
            "private.",
            tables=["deviation"],
            needs=f"deviation.csv with {method} and another method: `snakemake --cores 8 results/deviation.csv` "
            "makes it",
            decide=claim_tests.weighs_small_gradients,
            figure="figures/deviation.svg",
        ),
        "C4": Claim(
            statement="It needs no intensive setting of a threshold",
            test="Share of the settings tried that come within a point of the method's own best, by accuracy on "
            "validation examples. A diverged one does not.",
            tables=["sweeps"],
            needs=f"sweeps.csv with {method} and another method on validation data: `snakemake --cores 8 "
            "results/sweeps.csv` makes it",
            decide=claim_tests.needs_no_tuning,
            figure="figures/robustness.svg",
        ),
        "C5": Claim(
            statement="Its momentum reduces sampling bias and speeds convergence",
            test="With inner momentum against without: test accuracy averaged over the curve, final test accuracy, and "
            "the cosine of what is released. Beside it, the weight without momentum against the reference, over the "
            "curve and its quarters; and settings of inner momentum that a sweep has tried.",
            tables=["runs", "curves"],
            needs=f"{momentum} in the study, or sweeps.csv with `iterates` of {method} above 1: `snakemake --cores 8 "
            "sweeps` makes it",
            decide=claim_tests.speeds_convergence,
            figure="figures/convergence.svg",
        ),
        "C6": Claim(
            statement="Privacy is preserved",
            test="Refuted where an attack proves more epsilon than is claimed, or a run spent more than its budget. "
            "Not to be refuted is no proof.",
            tables=["audit", "ledger"],
            needs=f"audit.csv and ledger.csv with {method}: `snakemake --cores 8 results/audit.csv results/ledger.csv` "
            "makes them",
            decide=claim_tests.preserves_privacy,
            figure="figures/audit.svg",
        ),
    }
