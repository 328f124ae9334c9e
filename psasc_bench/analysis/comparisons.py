"""A comparison of two methods: what its differences, paired by seed, decide, and the sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from psasc_bench.analysis import statistics
from psasc_bench.analysis.statistics import PairedDifference, p_text

VERDICTS = {
    "better": "supported",
    "worse": "not supported",
    "tie shown": "not supported",
    "inconclusive": "inconclusive",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a claim. ``estimate`` is the mean difference of ``method`` to ``reference``, ``low`` to ``high``
    its 95 % interval, all in the ``unit``."""

    dataset: str = ""
    epsilon: float = math.nan
    method: str = ""
    reference: str = ""
    n: int = 0
    unit: str = ""
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_holm: float = math.nan
    verdict: str = "not tested"
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is compared; two methods closer than ``margin`` are tied. Printed ``scale`` times, with its ``unit``."""

    unit: str
    margin: float
    scale: float = 1.0
    digits: int = 2

    def text(self, value: float) -> str:
        return f"{self.scale * value:+z.{self.digits}f}"


ACCURACY = Measure(unit="points", scale=100, margin=statistics.MARGIN)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``differences``, one per seed, of ``method`` to ``reference``, positive in favour of the claim."""

    dataset: str
    epsilon: float
    method: str
    reference: str
    differences: pd.Series[float]
    measure: Measure = ACCURACY
    note: str = ""

    def difference(self) -> PairedDifference:
        return statistics.paired_difference(self.differences, margin=self.measure.margin)

    def finding(self, p_holm: float) -> Finding:
        """Supported by significance, not supported where the contrary is significant or a tie is shown, else
        inconclusive."""
        compared = self.difference()
        return Finding(
            dataset=self.dataset,
            epsilon=self.epsilon,
            method=self.method,
            reference=self.reference,
            n=compared.n,
            unit=self.measure.unit,
            estimate=self.measure.scale * compared.mean,
            low=self.measure.scale * compared.low,
            high=self.measure.scale * compared.high,
            p_holm=p_holm,
            verdict=VERDICTS[compared.verdict(p_holm)] if compared.n else "not tested",
            evidence="; ".join(part for part in (_numbers(self.measure, compared, p_holm), self.note) if part),
        )


def pair(
    values: pd.DataFrame, method: str, references: Sequence[str], *, measure: Measure = ACCURACY
) -> list[Comparison]:
    """``method`` compared with those of the ``references`` that are there, by the ``value`` of each data set, epsilon,
    method and seed; NaN where there is none yet. A ``note`` that comes with the values is passed on."""
    comparisons = []
    for _, rows in values.groupby(["dataset", "epsilon"], sort=False):
        by_method = rows.pivot(index="seed", columns="method", values="value")
        for reference in references:
            if not {method, reference} <= set(by_method):
                continue
            notes = rows[rows["method"].isin([method, reference])].get("note", pd.Series(dtype=str)).unique()
            comparison = Comparison(
                dataset=str(rows["dataset"].iloc[0]),
                epsilon=float(rows["epsilon"].iloc[0]),
                method=method,
                reference=reference,
                differences=(by_method[method] - by_method[reference]).dropna(),
                measure=measure,
                note="; ".join(note for note in notes if note),
            )
            comparisons.append(comparison)
    return comparisons


def decide(comparisons: Sequence[Comparison]) -> list[Finding]:
    """What the comparisons of a claim decide, corrected as one family by Holm's method."""
    corrected = statistics.holm([comparison.difference().p for comparison in comparisons])
    return [comparison.finding(float(p_holm)) for comparison, p_holm in zip(comparisons, corrected, strict=True)]


def _numbers(measure: Measure, compared: PairedDifference, p_holm: float) -> str:
    if compared.n == 0:
        return "no pair of finished runs"
    mean = f"{measure.text(compared.mean)} {measure.unit}"
    if compared.n == 1:
        return f"{mean} in the one pair"
    if math.isnan(compared.p):
        return f"{mean} in each of {compared.n} pairs, which no t-test can judge"
    interval = f"[{measure.text(compared.low)}, {measure.text(compared.high)}]"
    found = f"{mean} {interval} in {compared.n} pairs, p {p_text(p_holm)}"
    verdict = compared.verdict(p_holm)
    if compared.tie_p < statistics.ALPHA:
        tie = "a tie" if verdict == "tie shown" else "yet within the margin of a tie"
        found += f"; {tie}, p {p_text(compared.tie_p)}"
    if verdict == "inconclusive" and measure is ACCURACY:
        found += f"; to see 0.3 points takes {statistics.seeds_needed(0.003, compared.sd)} seeds"
    return found
