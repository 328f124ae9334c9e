"""How each claim of the paper is decided by the tables of a study, for the methods that have a role in it.

All take a study with a method under test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from psasc_bench.analysis import metrics
from psasc_bench.analysis.comparisons import Comparison, Finding, Measure, decide, pair
from psasc_bench.study import Roles, format_epsilon

COSINE = Measure(unit="in cosine", margin=0.01, digits=3)  # a step that goes a hundredth less far along the gradient
SHARE = Measure(unit="points of the grid", margin=0.1, scale=100, digits=0)

Tables = Mapping[str, pd.DataFrame]
RUN = ("dataset", "method", "epsilon", "seed")


def higher_accuracy(tables: Tables, roles: Roles) -> list[Finding]:
    """By the correction of ``summary.csv``, whose family is larger than the claim."""
    corrected = tables["summary"].set_index(["dataset", "epsilon", "method"])["difference_p_holm"]
    comparisons = _in_accuracy(tables, roles, _reference(roles))
    return [
        comparison.finding(float(corrected[comparison.dataset, comparison.epsilon, comparison.method]))
        for comparison in comparisons
    ]


def beats_earlier_scaling(tables: Tables, roles: Roles) -> list[Finding]:
    return decide(_in_accuracy(tables, roles, roles.earlier))


def weighs_small_gradients(tables: Tables, roles: Roles) -> list[Finding]:
    return decide(_cosines(tables, _tested(roles), _others(roles)))


def needs_no_tuning(tables: Tables, roles: Roles) -> list[Finding]:
    sweeps = tables["sweeps"]
    tuning = sweeps[sweeps["evaluation"] == "validation"]
    comparisons = []
    for sweep, grid in tuning.groupby("sweep", sort=False):
        measure = replace(SHARE, unit=f"{SHARE.unit} of the sweep {sweep}")
        comparisons += pair(metrics.shares_near_best(grid), _tested(roles), _others(roles), measure=measure)
    return decide(comparisons)


def speeds_convergence(tables: Tables, roles: Roles) -> list[Finding]:
    inner, plain = _momentum(roles), [_tested(roles)]
    accuracy = pair(metrics.accuracies(tables["runs"]), inner, plain)
    steps, cosines = _steps(tables["curves"], roles), _cosines(tables, inner, plain)
    return decide([*accuracy, *steps, *cosines, *_ablation(tables, roles)])


def preserves_privacy(tables: Tables, roles: Roles) -> list[Finding]:
    """Of each budget, the attack that proves most of what it attacks; ``low`` and ``high`` bracket its epsilon. A
    budget that was not attacked counts where a run has overspent it."""
    audit, ledger = tables["audit"], _of_the_runs(tables["ledger"], tables.get("runs"))
    audit = audit[audit["method"].isin([roles.method, roles.momentum])]
    audit = audit.assign(proved=audit["epsilon_lower"] / audit["epsilon_claimed"])
    grouped = ledger.groupby(["method", "budget"], sort=False)["problem"]
    ledgers = {(str(method), str(budget)): problems for (method, budget), problems in grouped}
    findings = []
    for _, attacks in audit.groupby(["method", "epsilon"], sort=False):
        sharpest = attacks.nlargest(1, "proved").iloc[0]
        method, epsilon = str(sharpest["method"]), float(sharpest["epsilon"])
        low, high = float(sharpest["epsilon_lower"]), float(sharpest["epsilon_claimed"])
        problems = ledgers.pop((method, format_epsilon(epsilon)), pd.Series(dtype=str))
        refuted, overspent = bool(attacks["refuted"].any()), int(problems.notna().sum())
        findings.append(
            Finding(
                epsilon=epsilon,
                method=method,
                n=len(problems),
                unit="of epsilon",
                low=low,
                high=high,
                verdict="not supported" if refuted or overspent else "supported" if len(problems) else "not tested",
                evidence=f"an attack proves epsilon {low:.2f} of {high:.2f} claimed; "
                f"{len(problems) - overspent} of {len(problems)} ledgers hold",
            )
        )
    findings += [
        Finding(
            epsilon=float(budget),
            method=method,
            n=len(problems),
            unit="of epsilon",
            verdict="not supported",
            evidence=f"no attack was made; {int(problems.isna().sum())} of {len(problems)} ledgers hold",
        )
        for (method, budget), problems in ledgers.items()
        if method in (roles.method, roles.momentum) and problems.notna().any()
    ]
    return findings


def _of_the_runs(ledger: pd.DataFrame, runs: pd.DataFrame | None) -> pd.DataFrame:
    """The ledgers of the study's ``runs``, or all where these are not given, with the ``method`` and the ``budget`` (an
    epsilon as text) of the run's name: a ledger may be too damaged to say."""
    parts = ledger["run"].str.split("/")
    ledger = ledger.assign(method=parts.str[1], budget=parts.str[2].str.removeprefix("eps-"))
    if runs is None:
        return ledger
    names = {
        f"{dataset}/{method}/eps-{format_epsilon(epsilon)}/seed-{seed}"
        for dataset, method, epsilon, seed in zip(*(runs[key] for key in RUN), strict=True)
    }
    return ledger[ledger["run"].isin(names)]


def _tested(roles: Roles) -> str:
    return str(roles.method)


def _momentum(roles: Roles) -> str:
    """Also where the study itself has no such method: sweeps may try settings of it."""
    return roles.momentum or f"{roles.method}-inner"


def _reference(roles: Roles) -> list[str]:
    return [roles.reference] if roles.reference else []


def _others(roles: Roles) -> list[str]:
    return [*_reference(roles), *roles.earlier]


def _in_accuracy(tables: Tables, roles: Roles, references: Sequence[str]) -> list[Comparison]:
    """Of the paper's weight by itself, and with the momentum that goes with it."""
    values = metrics.accuracies(tables["runs"])
    return [*pair(values, _tested(roles), references), *pair(values, _momentum(roles), references)]


def _cosines(tables: Tables, method: str, references: Sequence[str]) -> list[Comparison]:
    """Along each trajectory that the methods share; of a data set where ``method`` has none, each along its own."""
    own = _own_deviation(tables["curves"])
    shared = tables.get("deviation", own.head(0))
    measured = shared.loc[shared["method"] == method, "dataset"]
    epochs = pd.concat([shared, own[~own["dataset"].isin(measured)]])
    return _later_cosines(epochs, method, references) if "cosine" in epochs else []


def _own_deviation(curves: pd.DataFrame) -> pd.DataFrame:
    measured = {"nonprivate_cosine": "cosine", "nonprivate_below_peak": "below_peak"}
    own = _finished(curves).rename(columns=measured).assign(trajectory="each")
    return own.dropna(subset=[column for column in ["cosine"] if column in own])


def _later_cosines(epochs: pd.DataFrame, method: str, references: Sequence[str]) -> list[Comparison]:
    comparisons = []
    for trajectory, values in metrics.late_cosines(epochs).groupby("trajectory", sort=False):
        measure = replace(COSINE, unit=f"{COSINE.unit} along the path of {trajectory}")
        comparisons += pair(values, method, references, measure=measure)
    return comparisons


def _steps(curves: pd.DataFrame, roles: Roles, note: str = "") -> list[Comparison]:
    """How much sooner the runs with inner momentum have 95 % of their own final accuracy."""
    comparisons = []
    for _, of_one in _finished(curves).groupby("dataset", sort=False):
        an_epoch = float((of_one["step"] / of_one["epoch"]).median())
        values = metrics.steps_to_enough(of_one).assign(note=note)
        measure = Measure(unit="steps saved", margin=an_epoch, digits=0)
        comparisons += pair(values, _momentum(roles), [_tested(roles)], measure=measure)
    return comparisons


def _ablation(tables: Tables, roles: Roles) -> list[Comparison]:
    """Each setting of inner momentum that a sweep has tried against the study's own runs without."""
    runs, curves = tables["runs"], tables["curves"]
    comparisons = []
    for swept in _settings(tables.get("sweeps"), roles):
        plain = _plain(runs, swept, roles)
        gradients = (swept["iterates"] * swept["steps_taken"]).mean() / plain["steps_taken"].mean()
        values = pd.concat([metrics.accuracies(swept, "accuracy"), metrics.accuracies(plain)])
        note = f"{swept['setting'].iloc[0]}: {gradients:.2g} times the gradients"
        comparisons += pair(values.assign(note=note), _momentum(roles), [_tested(roles)])
    for swept in _settings(tables.get("sweep_curves"), roles):
        plain = _plain(curves, swept, roles)
        if swept["epoch"].max() != plain["epoch"].max():
            continue  # what it takes to come near a lower end is no convergence
        both = pd.concat([swept, plain])
        note = f"{swept['setting'].iloc[0]}: {swept['iterates'].iloc[0]:g} gradients an example and step"
        comparisons += _steps(both, roles, note)
        if "nonprivate_cosine" in both:
            found = _later_cosines(_own_deviation(both), _momentum(roles), [_tested(roles)])
            comparisons += [replace(comparison, note=swept["setting"].iloc[0]) for comparison in found]
    return comparisons


def _plain(table: pd.DataFrame, swept: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Of the study's own, what goes with ``swept``."""
    return table[(table["method"] == roles.method) & table["dataset"].isin(swept["dataset"])]


def _settings(swept: pd.DataFrame | None, roles: Roles) -> list[pd.DataFrame]:
    """What sweeps on test examples have of inner momentum: a table for each data set and ``setting`` (the trial in
    words), under the name of the variant with momentum, whatever it was tried with."""
    if swept is None or "iterates" not in swept:
        return []
    tested = swept["method"].isin([roles.method, roles.momentum])
    chosen = tested & (swept["evaluation"] == "test") & (swept["iterates"] > 1)
    inner = swept[chosen].assign(method=_momentum(roles))
    inner["setting"] = inner["settings"].str.replace("=", " ").str.replace(",", ", ")
    return [rows for _, rows in inner.groupby(["sweep", "dataset", "setting"], sort=False)]


def _finished(curves: pd.DataFrame) -> pd.DataFrame:
    return curves[curves["status"] == "done"]
