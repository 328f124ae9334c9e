"""The claims of the DP-PSASC paper's abstract, each decided by the tables of a study, or said to be untested."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench import outcomes
from psasc_bench.contests import Contest, Finding, Measure, decide, pair
from psasc_bench.files import write_text
from psasc_bench.results import REFERENCE

OURS, INNER = "dp-psasc", "dp-psasc-inner"
EARLIER = ["auto-s", "nsgd", "dp-psac"]
COSINE = Measure(unit="in cosine", margin=0.01, digits=3)  # a step that goes a hundredth less far along the gradient
SHARE = Measure(unit="points of the grid", margin=0.1, scale=100, digits=0)
NAMES = dict.fromkeys(["dataset", "method", "trajectory", "sweep", "settings"], str)

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed, and how it is decided: by ``judge`` from ``tables``. Where there is nothing to judge, ``needs``
    says what to run. The ``figure`` shows it, if there is one."""

    statement: str
    test: str
    tables: Sequence[str]
    needs: str
    judge: Callable[[Tables], list[Finding]]
    figure: str = ""


def write(paths: Iterable[Path], output: Path) -> None:
    """Write ``claims.csv`` and ``claims.md`` to ``output`` from the tables in ``paths``, known by their files' names.

    Raises ``OSError`` for an absent file.
    """
    found = judge(read(paths))
    write_text(output / "claims.csv", found.to_csv(index=False, lineterminator="\n"))
    write_text(output / "claims.md", report(found))


def read(paths: Iterable[Path]) -> dict[str, pd.DataFrame]:
    """Those of the tables that hold anything, by name."""
    tables = {}
    for path in paths:
        try:
            tables[path.stem] = pd.read_csv(path, dtype=NAMES)
        except pd.errors.EmptyDataError:
            continue
    return {name: table for name, table in tables.items() if len(table)}


def judge(tables: Tables) -> pd.DataFrame:
    """A row per claim and contest, or one that says what to run where a claim cannot be tested.

    Raises ``ValueError`` for tables that lack a column.
    """
    rows: list[dict[str, Any]] = []
    tables = _of_the_study(tables)
    for name, claim in CLAIMS.items():
        try:
            findings = claim.judge(tables) if set(claim.tables) <= set(tables) else []
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


# ------------------------------------------------------------------------------------------------ the judges


def higher_accuracy(tables: Tables) -> list[Finding]:
    """By the correction of ``summary.csv``, whose family is larger than the claim."""
    corrected = tables["summary"].set_index(["dataset", "epsilon", "method"])["difference_p_holm"]
    contests = pair(outcomes.accuracies(tables["runs"]), OURS, [REFERENCE])
    return [contest.finding(float(corrected[contest.dataset, contest.epsilon, OURS])) for contest in contests]


def beats_earlier_scaling(tables: Tables) -> list[Finding]:
    return decide(pair(outcomes.accuracies(tables["runs"]), OURS, EARLIER))


def weighs_small_gradients(tables: Tables) -> list[Finding]:
    return decide(_cosines(tables, OURS, [REFERENCE, *EARLIER]))


def needs_no_tuning(tables: Tables) -> list[Finding]:
    sweeps = tables["sweeps"]
    tuning = sweeps[sweeps["evaluation"] == "validation"]
    contests = []
    for sweep, grid in tuning.groupby("sweep", sort=False):
        measure = replace(SHARE, unit=f"{SHARE.unit} of the sweep {sweep}")
        contests += pair(outcomes.shares_near_best(grid), OURS, [REFERENCE, *EARLIER], measure=measure)
    return decide(contests)


def speeds_convergence(tables: Tables) -> list[Finding]:
    return decide([*_steps(tables["curves"]), *_cosines(tables, INNER, [OURS]), *_ablation(tables)])


def preserves_privacy(tables: Tables) -> list[Finding]:
    """Of each budget, the attack that proves most of what it attacks; ``low`` and ``high`` bracket its epsilon."""
    audit, ledger = tables["audit"], tables["ledger"]
    audit = audit[audit["method"].isin([OURS, INNER])].assign(proved=audit["epsilon_lower"] / audit["epsilon_claimed"])
    trained = ledger["run"].str.split("/").str[1]
    findings = []
    for _, attacks in audit.groupby(["method", "epsilon"], sort=False):
        sharpest = attacks.nlargest(1, "proved").iloc[0]
        method, epsilon = str(sharpest["method"]), float(sharpest["epsilon"])
        low, high = float(sharpest["epsilon_lower"]), float(sharpest["epsilon_claimed"])
        runs = ledger[(trained == method) & (ledger["epsilon"] == epsilon)]
        refuted, overspent = bool(attacks["refuted"].any()), int(runs["problem"].notna().sum())
        findings.append(
            Finding(
                epsilon=epsilon,
                method=method,
                n=len(runs),
                unit="of epsilon",
                low=low,
                high=high,
                verdict="not supported" if refuted or overspent else "supported" if len(runs) else "not tested",
                evidence=f"an attack proves epsilon {low:.2f} of {high:.2f} claimed; "
                f"{len(runs) - overspent} of {len(runs)} ledgers hold",
            )
        )
    return findings


CLAIMS = {
    "C1": Claim(
        statement="At the same epsilon and delta, DP-PSASC is more accurate than DP-SGD",
        test="Final test accuracy. Here p is corrected for all contestants, budgets and data sets of the study.",
        tables=["summary", "runs"],
        needs=f"{OURS} and {REFERENCE} in the study: add them to its methods, then `snakemake --cores 8`",
        judge=higher_accuracy,
        figure="figures/accuracy.svg",
    ),
    "C2": Claim(
        statement="It is more accurate than earlier per-example scaling: Auto-S, NSGD and DP-PSAC",
        test="Final test accuracy.",
        tables=["runs"],
        needs=f"{OURS} and one of {', '.join(EARLIER)} in the study: add it to its methods, then `snakemake --cores 8`",
        judge=beats_earlier_scaling,
        figure="figures/accuracy.svg",
    ),
    "C3": Claim(
        statement="The small gradients of late training get their proper weight",
        test="Cosine between the scaled and the true mean gradient, not private, over the last quarter of the epochs. "
        "Within 0.01 is a tie.",
        tables=["curves"],
        needs=f"deviation.csv with {OURS} and another method: `snakemake --cores 8 results/deviation.csv` makes it",
        judge=weighs_small_gradients,
        figure="figures/weights.svg",
    ),
    "C4": Claim(
        statement="It needs no intensive setting of a threshold",
        test="Share of the settings of a grid that come within a point of the method's own best, by accuracy on "
        "validation data. A diverged one does not; within a tenth of the grid is a tie.",
        tables=["sweeps"],
        needs=f"sweeps.csv with {OURS} and another method on validation data: `snakemake --cores 8 results/sweeps.csv` "
        "makes it",
        judge=needs_no_tuning,
    ),
    "C5": Claim(
        statement="Its momentum reduces sampling bias and speeds convergence",
        test="With inner momentum, in each setting that a sweep has tried, against without: final test accuracy; steps "
        "to 95 % of a run's own final accuracy, where within an epoch is a tie; cosine, as for C3, along each run's "
        "own path. `epochs` says where it had fewer, for as much computing; there only the accuracy compares.",
        tables=["runs", "curves"],
        needs=f"sweeps.csv with `iterates` of {OURS} above 1: `snakemake --cores 8 sweeps` makes it",
        judge=speeds_convergence,
        figure="figures/convergence.svg",
    ),
    "C6": Claim(
        statement="Privacy is preserved",
        test="No attack proves more epsilon than is claimed, and no run spent more than its budget by any of three "
        "accountants. That contradicts nothing; it is no proof.",
        tables=["audit", "ledger"],
        needs=f"audit.csv and ledger.csv with {OURS}: `snakemake --cores 8 results/audit.csv results/ledger.csv` makes "
        "them",
        judge=preserves_privacy,
        figure="figures/audit.svg",
    ),
}


# ------------------------------------------------------------------------------------------------ the contests


def _cosines(tables: Tables, method: str, references: Sequence[str]) -> list[Contest]:
    """Along each trajectory that the methods share; of a data set without a table of these, each along its own."""
    own = _own_deviation(tables["curves"])
    shared = tables.get("deviation", own.head(0))
    epochs = pd.concat([shared, own[~own["dataset"].isin(shared["dataset"])]])
    return _later_cosines(epochs, method, references) if "cosine" in epochs else []


def _own_deviation(curves: pd.DataFrame) -> pd.DataFrame:
    measured = {"nonprivate_cosine": "cosine", "nonprivate_below_peak": "below_peak"}
    own = _finished(curves).rename(columns=measured).assign(trajectory="each")
    return own.dropna(subset=[column for column in ["cosine"] if column in own])


def _later_cosines(epochs: pd.DataFrame, method: str, references: Sequence[str]) -> list[Contest]:
    contests = []
    for trajectory, values in outcomes.late_cosines(epochs).groupby("trajectory", sort=False):
        measure = replace(COSINE, unit=f"{COSINE.unit} along the path of {trajectory}")
        contests += pair(values, method, references, measure=measure)
    return contests


def _steps(curves: pd.DataFrame, note: str = "") -> list[Contest]:
    """How much sooner the runs with inner momentum have 95 % of their own final accuracy."""
    contests = []
    for _, of_one in _finished(curves).groupby("dataset", sort=False):
        an_epoch = float((of_one["step"] / of_one["epoch"]).median())
        values = outcomes.steps_to_enough(of_one).assign(note=note)
        contests += pair(values, INNER, [OURS], measure=Measure(unit="steps saved", margin=an_epoch, digits=0))
    return contests


def _ablation(tables: Tables) -> list[Contest]:
    """Each setting of inner momentum that a sweep has tried against the study's own runs without."""
    runs, curves = tables["runs"], tables["curves"]
    contests = []
    for swept in _settings(tables.get("sweeps")):
        plain = _plain(runs, swept)
        gradients = (swept["iterates"] * swept["steps_taken"]).mean() / plain["steps_taken"].mean()
        values = pd.concat([outcomes.accuracies(swept, "accuracy"), outcomes.accuracies(plain)])
        note = f"{swept['setting'].iloc[0]}: {gradients:.2g} times the gradients"
        contests += pair(values.assign(note=note), INNER, [OURS])
    for swept in _settings(tables.get("sweep_curves")):
        plain = _plain(curves, swept)
        if swept["epoch"].max() != plain["epoch"].max():
            continue  # what it takes to come near a lower end is no convergence
        both = pd.concat([swept, plain])
        note = f"{swept['setting'].iloc[0]}: {swept['iterates'].iloc[0]:g} gradients an example and step"
        contests += _steps(both, note)
        if "nonprivate_cosine" in both:
            found = _later_cosines(_own_deviation(both), INNER, [OURS])
            contests += [replace(contest, note=swept["setting"].iloc[0]) for contest in found]
    return contests


def _plain(table: pd.DataFrame, swept: pd.DataFrame) -> pd.DataFrame:
    """Of the study's own, what goes with ``swept``."""
    return table[(table["method"] == OURS) & table["dataset"].isin(swept["dataset"])]


def _settings(swept: pd.DataFrame | None) -> list[pd.DataFrame]:
    """What sweeps on test examples have of inner momentum: a table for each data set and ``setting`` (the trial in
    words), with ``INNER`` for the method, whose weight is that of ``OURS``."""
    if swept is None or "iterates" not in swept:
        return []
    chosen = (swept["evaluation"] == "test") & swept["method"].isin([OURS, INNER]) & (swept["iterates"] > 1)
    inner = swept[chosen].assign(method=INNER)
    inner["setting"] = inner["settings"].str.replace("=", " ").str.replace(",", ", ")
    return [rows for _, rows in inner.groupby(["sweep", "dataset", "setting"], sort=False)]


def _finished(curves: pd.DataFrame) -> pd.DataFrame:
    return curves[curves["status"] == "done"]


# ------------------------------------------------------------------------------------------------ the report


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
