"""How each claim of the paper is decided by the tables of a study, for the methods that have a role in it.

All take a study with a method under test; docs/claims.md has the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from psasc_bench.analysis import metrics
from psasc_bench.analysis.comparisons import (
    ACCURACY,
    NO_TRAITS,
    Comparison,
    Datasets,
    Decision,
    Measure,
    Statements,
    budgets_text,
    compare,
    decide,
)
from psasc_bench.analysis.primary import datasets_of
from psasc_bench.study import Roles, format_epsilon

CURVE = Measure(name="accuracy over the curve", digits=3)
QUARTER = Measure(name="weight of the quarter with the smallest gradients, nearer to a quarter", margin=None)
SAMPLE = Measure(name="effective sample size", unit="points of the examples", margin=None)
RELEASED = Measure(name="cosine of what is released", unit="in cosine", margin=None, scale=1, digits=3)
SHARE = Measure(name="settings within a point of the best", unit="points of the settings", margin=None, digits=0)

Tables = Mapping[str, pd.DataFrame]
RUN = ("dataset", "method", "epsilon", "seed")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a claim on a data set. ``estimate`` is the mean difference of ``method`` to ``reference`` in a
    ``measure``, ``low`` to ``high`` its 95 % interval, all in the ``unit``; ``epsilon`` names the budgets. Where it is
    ``primary`` it has the words of docs/claims.md; else it is descriptive, and has none."""

    primary: bool = True
    dataset: str = ""
    epsilon: str = ""
    method: str = ""
    reference: str = ""
    measure: str = ""
    n: int = 0
    unit: str = ""
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_holm: float = math.nan
    sign: str = ""
    within: str = ""
    gain_excluded: str = ""
    evidence: str


def higher_accuracy(tables: Tables, roles: Roles) -> list[Finding]:
    return [_finding(one) for one in _in_accuracy(tables, roles, _reference(roles))]


def beats_earlier_scaling(tables: Tables, roles: Roles) -> list[Finding]:
    return [_finding(one) for one in _in_accuracy(tables, roles, roles.earlier)]


def weighs_small_gradients(tables: Tables, roles: Roles) -> list[Finding]:
    found = _along_one_trajectory(tables, _tested(roles), [*_reference(roles), *roles.earlier])
    return [_finding(one) for one in found]


def needs_no_tuning(tables: Tables, roles: Roles) -> list[Finding]:
    sweeps = tables["sweeps"]
    findings = []
    for _, grid in sweeps[sweeps["evaluation"] == "validation"].groupby("sweep", sort=False):
        shares = metrics.shares_near_best(grid)
        compared = compare(shares, _tested(roles), [*_reference(roles), *roles.earlier], measure=SHARE)
        findings += [_finding(one) for one in decide(compared)]
    return findings


def speeds_convergence(tables: Tables, roles: Roles) -> list[Finding]:
    """With momentum against without, and the method under test against the reference, whose early lead is one."""
    inner, tested = _momentum(roles), _tested(roles)
    runs, curves, datasets = tables["runs"], tables["curves"], datasets_of(tables["runs"])
    pairs = [(inner, [tested]), (tested, _reference(roles))]
    whole, final = metrics.curve_means(curves), metrics.accuracies(runs)
    decisions = decide(compare(whole, inner, [tested], measure=CURVE, datasets=datasets))
    decisions += decide(compare(final, inner, [tested], datasets=datasets))
    decisions += _along_one_trajectory(tables, inner, [tested])
    decisions += decide(compare(whole, tested, _reference(roles), measure=CURVE, datasets=datasets))
    findings = [_finding(one) for one in decisions]
    for quarter, name in enumerate(metrics.QUARTERS):
        values = metrics.curve_means(curves, quarter)
        measure = replace(CURVE, name=f"{CURVE.name}, {name} quarter")
        for method, references in pairs:
            compared = compare(values, method, references, measure=measure, datasets=datasets)
            early = quarter == 0 and method == tested
            if early:
                compared = _with_crossings(compared, curves)
            findings += [_finding(one, primary=early) for one in decide(compared)]
    return findings + _ablation(tables, roles)


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
        method, budget = str(sharpest["method"]), format_epsilon(float(sharpest["epsilon"]))
        low, high = float(sharpest["epsilon_lower"]), float(sharpest["epsilon_claimed"])
        problems = ledgers.pop((method, budget), pd.Series(dtype=str))
        refuted, overspent = bool(attacks["refuted"].any()), int(problems.notna().sum())
        findings.append(
            Finding(
                epsilon=budget,
                method=method,
                measure="epsilon that an attack proves, and that is claimed of the schedule it attacks",
                n=len(problems),
                unit="of epsilon",
                low=low,
                high=high,
                sign="refuted" if refuted or overspent else "not refuted" if len(problems) else "",
                evidence=f"an attack proves epsilon {low:.2f} of {high:.2f}, what the schedule that it attacks costs; "
                f"{len(problems) - overspent} of {len(problems)} ledgers hold",
            )
        )
    findings += [
        Finding(
            epsilon=budget,
            method=method,
            measure="ledgers",
            n=len(problems),
            sign="refuted",
            evidence=f"no attack was made; {int(problems.isna().sum())} of {len(problems)} ledgers hold",
        )
        for (method, budget), problems in ledgers.items()
        if method in (roles.method, roles.momentum) and problems.notna().any()
    ]
    return findings


def _finding(decision: Decision, *, primary: bool = True) -> Finding:
    """A descriptive one has the estimate and the interval, and no word."""
    comparison, found, measure = decision.comparison, decision.found, decision.comparison.measure
    primary = primary and decision.family > 0
    shown = decision if primary else replace(decision, said=Statements())
    why = "" if comparison.decides else "decides nothing: one test example is more than the margin"
    return Finding(
        primary=primary,
        dataset=comparison.dataset,
        epsilon=budgets_text(comparison.budgets),
        method=comparison.method,
        reference=comparison.reference,
        measure=measure.name,
        n=found.n,
        unit=measure.unit,
        estimate=measure.scale * found.mean,
        low=measure.scale * found.low,
        high=measure.scale * found.high,
        p_holm=decision.p_holm if primary else math.nan,
        **shown.said._asdict(),
        evidence="; ".join(part for part in (shown.text(), why, comparison.note) if part),
    )


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


def _in_accuracy(tables: Tables, roles: Roles, references: Sequence[str]) -> list[Decision]:
    """Of the paper's weight by itself, and with the momentum that goes with it."""
    runs = tables["runs"]
    values, datasets = metrics.accuracies(runs), datasets_of(runs)
    return [
        decision
        for method in (_tested(roles), _momentum(roles))
        for decision in decide(compare(values, method, references, datasets=datasets))
    ]


def _along_one_trajectory(tables: Tables, method: str, references: Sequence[str]) -> list[Decision]:
    """At the iterates that the methods of ``deviation.csv`` share, none where there is none."""
    epochs = tables.get("deviation", pd.DataFrame())
    if epochs.empty:
        return []
    measures: Iterable[tuple[Measure, Callable[[pd.DataFrame], pd.DataFrame]]] = [
        (QUARTER, metrics.small_gradient_shares),
        (SAMPLE, metrics.effective_sample_sizes),
        (RELEASED, metrics.released_cosines),
    ]
    found, datasets = [], Datasets(tuned=datasets_of(tables["runs"]).tuned) if "runs" in tables else NO_TRAITS
    for trajectory, of_one in epochs.groupby("trajectory", sort=False):
        for measure, values_of in measures:
            values = values_of(of_one).assign(note=f"along the path of {trajectory}")
            if measure is QUARTER:
                values = _by_distance(values)
            found += decide(compare(values, method, references, measure=measure, datasets=datasets))
    return found


def _by_distance(shares: pd.DataFrame) -> pd.DataFrame:
    """Of shares of the weight, minus their distance from that of equal weights; the shares stand in the note."""
    means = shares.groupby(["dataset", "method"])["value"].transform("mean")
    notes = [
        f"{method} gives it {share:.0%}, {note}"
        for method, share, note in zip(shares["method"], means, shares["note"], strict=True)
    ]
    return shares.assign(value=-(shares["value"] - 0.25).abs(), note=notes)


def _with_crossings(comparisons: Sequence[Comparison], curves: pd.DataFrame) -> list[Comparison]:
    """Their notes say when the method is last ahead, by the mean over budgets and seeds."""
    found = []
    for one in comparisons:
        budgets = curves[curves["epsilon"].isin(one.budgets)]
        last = metrics.last_crossing(budgets, one.method, one.reference).get(one.dataset, math.nan)
        note = "never ahead" if math.isnan(last) else f"last ahead after {100 * last:.0f} % of training"
        found.append(replace(one, note="ahead at the end" if last == 1 else note))
    return found


def _ablation(tables: Tables, roles: Roles) -> list[Finding]:
    """Each setting of inner momentum that a sweep has tried against the study's own runs without, descriptive."""
    runs, curves = tables["runs"], tables["curves"]
    comparisons = []
    for swept in _settings(tables.get("sweeps"), roles):
        plain = _plain(runs, swept, roles)
        gradients = (swept["iterates"] * swept["steps_taken"]).mean() / plain["steps_taken"].mean()
        values = pd.concat([metrics.accuracies(swept, "accuracy"), metrics.accuracies(plain)])
        measure = replace(ACCURACY, name=f"{ACCURACY.name}, sweep {swept['sweep'].iloc[0]}")
        note = f"{swept['setting'].iloc[0]}: {gradients:.2g} times the gradients"
        comparisons += compare(values.assign(note=note), _momentum(roles), [_tested(roles)], measure=measure)
    for swept in _settings(tables.get("sweep_curves"), roles):
        plain = _plain(curves, swept, roles)
        if swept["epoch"].max() != plain["epoch"].max():
            continue  # the curve of a shorter run is another
        measure = replace(CURVE, name=f"{CURVE.name}, sweep {swept['sweep'].iloc[0]}")
        note = f"{swept['setting'].iloc[0]}: {swept['iterates'].iloc[0]:g} gradients an example and step"
        values = metrics.curve_means(pd.concat([swept, plain])).assign(note=note)
        comparisons += compare(values, _momentum(roles), [_tested(roles)], measure=measure)
    return [_finding(one, primary=False) for one in decide(comparisons)]


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
