"""Whether ledgers of honest runs hold, over budgets far beyond those of the study.

    python benchmarks/honest_ledgers.py --every 6

On every schedule of the study's data sets, budgets of 35 epsilons from 0.01 to 100 and four deltas are calibrated by
both accountants, and the record of a run that kept to them is verified as ``psasc-bench verify`` does. Prints a
Markdown table with a line per schedule and accountant, why budgets were refused at calibration, and every ledger that
does not hold; exit status 1 if there is one. ``--every 6`` takes every sixth epsilon, 240 budgets of 1,400,
which took 8 minutes of one core: all should take some 45 (extrapolated).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from psasc_bench import methods, records
from psasc_bench.evidence import verify_ledgers
from psasc_bench.privacy import Accountant, Budget, calibrate
from psasc_bench.study import RunSpec, load_study

EPSILONS = [float(f"{epsilon:.3g}") for epsilon in np.geomspace(0.01, 100, 35)]
DELTAS = (1e-4, 1e-5, 1e-10, 1e-15)
EXAMPLES = {"digits": 1437, "mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000}  # to train on, by source


@dataclass
class Schedule:
    """How often examples are drawn, and for how long; and what became of the budgets on it."""

    spec: RunSpec  # with the accountant
    examples: int
    honest: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[float, int]:
        return self.spec.sampling_rate(self.examples), self.spec.epoch_ends(self.examples)[-1]

    def look(self, epsilon: float, delta: float, folder: Path) -> None:
        sampling_rate, steps = self.key
        try:
            budget = calibrate(
                epsilon=epsilon,
                delta=delta,
                sampling_rate=sampling_rate,
                steps=steps,
                accountant=self.spec.accountant,
            )
        except ValueError as error:
            _, reach, why = str(error).partition("out of reach at ")
            if not reach:
                raise
            self.refused[why.split(";")[0]] += 1
            return
        (row,) = verify_ledgers([write(replace(self.spec, epsilon=epsilon, delta=delta), budget, folder)])
        if row.problem:
            self.bad.append(f"{self.spec.dataset}, epsilon {epsilon:g}, delta {delta:g}, {budget}: {row.problem}")
        else:
            self.honest += 1


def write(spec: RunSpec, budget: Budget, runs: Path) -> Path:
    """The record of a run that took the steps it had a budget for."""
    sensitivity = methods.create(spec.method, dict(spec.parameters)).sensitivity()
    made = records.Record(
        spec=spec,
        fingerprint="",
        status="done",
        reason=None,
        result={"test_accuracy": 0.5, "test_loss": 1.0},
        ledger=records.ledger(budget, sensitivity=sensitivity, steps_taken=budget.steps),
        nonprivate={},
        seconds={"total": 1.0},
        provenance={},
    )
    path = runs / f"{spec.name()}.json"
    records.write(made, [], path.with_suffix(""))
    return path


def schedules(config: Path, accountants: Sequence[Accountant]) -> list[Schedule]:
    """Those of the study's private runs, each once by each of the accountants."""
    study = load_study(config)
    found: dict[tuple[float, int], RunSpec] = {}
    for cell in study.cells():
        if np.isfinite(cell.epsilon):
            spec, examples = study.spec(cell, seed=0), EXAMPLES[study.dataset(cell.dataset).source]
            found.setdefault((spec.sampling_rate(examples), spec.epoch_ends(examples)[-1]), spec)
    return [
        Schedule(replace(spec, accountant=accountant), EXAMPLES[study.dataset(spec.dataset).source])
        for accountant in accountants
        for spec in found.values()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth epsilon (%(default)s)")
    both = get_args(Accountant)
    parser.add_argument("--accountants", choices=both, nargs="+", default=both, help="(%(default)s)")
    options = parser.parse_args()
    found = schedules(options.config, options.accountants)
    with tempfile.TemporaryDirectory() as folder:
        for schedule in found:
            for delta in DELTAS:
                for epsilon in EPSILONS[:: options.every]:
                    schedule.look(epsilon, delta, Path(folder))
    rows = [
        {
            "schedule of": schedule.spec.dataset,
            "calibrated by": schedule.spec.accountant,
            "sampling rate": f"{schedule.key[0]:.4f}",
            "steps": schedule.key[1],
            "honest ledgers that hold": schedule.honest,
            "refused at calibration": schedule.refused.total(),
            "honest ledgers that do not hold": len(schedule.bad),
        }
        for schedule in found
    ]
    print(pd.DataFrame(rows).to_markdown(index=False, tablefmt="github", disable_numparse=True))
    for why, count in sum((schedule.refused for schedule in found), Counter[str]()).items():
        print(f"refused at calibration, {count} times: {why}")
    bad = [line for schedule in found for line in schedule.bad]
    print("\n".join(bad) or "every honest ledger holds")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
