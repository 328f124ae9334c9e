"""Comparisons of two methods, one per data set, paired by seed; what a family of them decides. See docs/claims.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pandas as pd

from psasc_bench.analysis import statistics
from psasc_bench.analysis.statistics import ALPHA, PairedDifference, p_text
from psasc_bench.study import format_epsilon


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is compared, in words. Differences closer than ``margin`` are practically none, where there is such a
    thing. Printed ``scale`` times, with its ``unit``."""

    name: str
    unit: str = "points"
    margin: float | None = statistics.MARGIN
    scale: float = 100.0
    digits: int = 2

    def text(self, value: float) -> str:
        return statistics.signed(self.scale * value, self.digits)

    def interval(self, low: float, high: float) -> str:
        return f"[{self.text(low)}, {self.text(high)}]"


ACCURACY = Measure(name="final test accuracy")


class Statements(NamedTuple):
    """The words of docs/claims.md, empty where a comparison takes no part or there is no margin."""

    sign: str = ""
    within: str = ""
    gain_excluded: str = ""


class Datasets(NamedTuple):
    """Names of the data sets of a study that decide nothing, and of those whose settings a search has chosen."""

    indecisive: frozenset[str] = frozenset()
    tuned: frozenset[str] = frozenset()


NO_TRAITS = Datasets()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``differences``, one per seed, of ``method`` to ``reference`` on a data set, each a mean over the ``budgets``;
    positive in favour of the claim. One that ``decides`` nothing is described, and in no family."""

    dataset: str
    budgets: tuple[float, ...]
    method: str
    reference: str
    differences: pd.Series[float]
    measure: Measure = ACCURACY
    tuned: bool = False
    decides: bool = True
    note: str = ""

    @property
    def found(self) -> PairedDifference:
        return statistics.paired_difference(self.differences, margin=self.measure.margin or math.nan)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was ``found`` in a ``comparison``, its p-values corrected for the ``family`` that it is one of (how many
    comparisons that has, 0 if it is in none), and what is said."""

    comparison: Comparison
    found: PairedDifference
    family: int = 0
    p_holm: float = math.nan
    within_p_holm: float = math.nan
    gain_p_holm: float = math.nan
    said: Statements = field(default=Statements())

    @property
    def _least_alpha(self) -> float:
        return ALPHA / max(self.family, 1)

    @property
    def detectable(self) -> float:
        return statistics.detectable_difference(self.found.n, self.found.sd, alpha=self._least_alpha)

    @property
    def seeds_needed(self) -> float:
        """For a difference of the margin; NaN where there is none."""
        margin = self.comparison.measure.margin
        return statistics.seeds_needed(margin, self.found.sd, alpha=self._least_alpha) if margin else math.nan

    def text(self) -> str:
        """The numbers, and the words that they allow."""
        measure, found = self.comparison.measure, self.found
        mean = f"{measure.text(found.mean)} {measure.unit}"
        if found.n == 0:
            return "no pair of finished runs"
        if found.n == 1:
            return f"{mean} in the one pair"
        if found.identical == found.n:
            return f"identical in {found.n} of {found.n} pairs"
        if math.isnan(found.p):
            return f"{mean} in each of {found.n} pairs, which no t-test can judge"
        parts = [f"{mean} {measure.interval(found.low, found.high)}, {found.n} seeds"]
        if self.said.sign:
            parts.append(f"{self.said.sign}, p {p_text(self.p_holm)}")
        if self.said.within == "yes":
            parts.append(
                f"within ±{measure.scale * (measure.margin or 0):g} {measure.unit}, "
                f"90 % {measure.interval(found.low_90, found.high_90)}"
            )
        elif self.said.gain_excluded == "yes":
            parts.append(f"a gain of {measure.scale * (measure.margin or 0):g} {measure.unit} or more is excluded")
        return "; ".join(parts)


def compare(
    values: pd.DataFrame,
    method: str,
    references: Iterable[str],
    *,
    measure: Measure = ACCURACY,
    datasets: Datasets = NO_TRAITS,
) -> list[Comparison]:
    """``method`` with each of the ``references``, on each data set that has runs of both, by the ``value`` of each data
    set, epsilon, method and seed; NaN where there is none yet. A ``note`` that comes with the values is passed on."""
    comparisons = []
    for dataset, rows in values.groupby("dataset", sort=False):
        by_method = rows.pivot(index="seed", columns=["method", "epsilon"], values="value")
        for reference in references:
            if not {method, reference} <= set(by_method.columns.get_level_values(0)):
                continue
            differences = pd.DataFrame(by_method.xs(method, axis=1) - by_method.xs(reference, axis=1))
            budgets = _budgets(differences)
            notes = rows[rows["method"].isin([method, reference])].get("note", pd.Series(dtype=str)).unique()
            comparison = Comparison(
                dataset=str(dataset),
                budgets=budgets,
                method=method,
                reference=reference,
                differences=differences[list(budgets)].dropna().mean(axis=1) if budgets else pd.Series(dtype=float),
                measure=measure,
                tuned=dataset in datasets.tuned,
                decides=dataset not in datasets.indecisive,
                note="; ".join(note for note in notes if note),
            )
            comparisons.append(comparison)
    return comparisons


def _budgets(differences: pd.DataFrame) -> tuple[float, ...]:
    """Of the sets of budgets that seeds have in common, the one with the most runs, budgets times the seeds that have
    all; of several, that with the most seeds."""
    there = differences.notna()
    sets: set[frozenset[float]] = set()
    for has in there.to_numpy():
        of_seed = frozenset(map(float, there.columns[has]))
        sets |= {of_seed, *(of_seed & other for other in sets)}
    seeds = {tuple(sorted(one)): int(there[list(one)].all(axis=1).sum()) for one in sets if one}
    return max(seeds, key=lambda one: (len(one) * seeds[one], seeds[one], one), default=())


def decide(comparisons: Sequence[Comparison]) -> list[Decision]:
    """Each comparison decided among those of its family: the same methods and measure, on data sets that decide, tuned
    or not, and that have been run."""
    found = [comparison.found for comparison in comparisons]
    families: dict[tuple[str, str, Measure, bool], list[int]] = {}
    for i, comparison in enumerate(comparisons):
        if comparison.decides and found[i].n:
            key = (comparison.method, comparison.reference, comparison.measure, comparison.tuned)
            families.setdefault(key, []).append(i)
    decisions = [Decision(comparison=one, found=of_one) for one, of_one in zip(comparisons, found, strict=True)]
    for members in families.values():
        p, tie_p, beyond_p, gain_p = (
            statistics.holm([getattr(found[i], name) for i in members]) for name in ("p", "tie_p", "beyond_p", "gain_p")
        )
        for k, i in enumerate(members):
            decisions[i] = replace(
                decisions[i],
                family=len(members),
                p_holm=float(p[k]),
                within_p_holm=float(tie_p[k]),
                gain_p_holm=float(gain_p[k]),
                said=_statements(comparisons[i], found[i], p[k], tie_p[k], beyond_p[k], gain_p[k]),
            )
    return decisions


def _statements(
    comparison: Comparison, found: PairedDifference, p: float, tie_p: float, beyond_p: float, gain_p: float
) -> Statements:
    if found.n > 1 and found.identical == found.n:
        return Statements("identical")  # there is nothing to test
    sign = "unresolved" if not p < ALPHA else "higher" if found.mean > 0 else "lower"
    if comparison.measure.margin is None:
        return Statements(sign)
    within = "yes" if tie_p < ALPHA else "no" if beyond_p < ALPHA else "unresolved"
    return Statements(sign, within, "yes" if gain_p < ALPHA else "no")


def budgets_text(budgets: Sequence[float]) -> str:
    return ", ".join(map(format_epsilon, budgets))
