"""How far a study is: a status for each of its runs, from what lies in the results folder, at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from psasc_bench import methods
from psasc_bench.files import held
from psasc_bench.records import record, spool
from psasc_bench.records.record import Record
from psasc_bench.study import RunSpec, Study, format_epsilon

# A record's own status; "stale": a record of another spec or source than the present one; "running": a process holds
# the run's lock; "missing": none of these, perhaps with a checkpoint to go on from.
Status = Literal["done", "diverged", "failed", "stale", "running", "missing"]


@dataclass(frozen=True)
class Run:
    """``record`` is there if it is current, whatever became of the run."""

    spec: RunSpec
    status: Status
    record: Record | None

    @property
    def reason(self) -> str | None:
        return self.record.reason if self.record else None


def survey(study: Study, runs: Path) -> Iterator[Run]:
    """Every run of the study, in its order. Raises ``ValueError`` naming a file that is no record."""
    for cell in study.cells():
        fingerprint = methods.fingerprint(methods.load(cell.method))
        for seed in study.cell_seeds(cell.dataset, cell.epsilon):
            yield look(study.spec(cell, seed), fingerprint, runs)


def look(spec: RunSpec, fingerprint: str, runs: Path) -> Run:
    """One run, as it is with the method's present source. Raises ``ValueError`` naming a file that is no record."""
    path = runs / f"{spec.name()}.json"
    found = record.read(path) if path.exists() else None
    if found and found.current(spec, fingerprint):
        return Run(spec, found.status, found)
    if held(spool.lock_file(spec, spool.spool_beside(runs))):
        return Run(spec, "running", None)
    return Run(spec, "stale" if found else "missing", None)


def status_rows(surveyed: Iterable[Run]) -> list[dict[str, str | int | None]]:
    """As a table: data set, epsilon, method, seed, status, reason."""
    return [
        {
            "dataset": run.spec.dataset,
            "epsilon": format_epsilon(run.spec.epsilon),
            "method": run.spec.method,
            "seed": run.spec.seed,
            "status": run.status,
            "reason": run.reason,
        }
        for run in surveyed
    ]


def status_grid(surveyed: Sequence[Run]) -> str:
    """To print: a line per data set and method with its counts by epsilon, what went wrong, and the counts in all."""
    cells: dict[tuple[str, str], dict[str, Counter[str]]] = {}
    for run in surveyed:
        budgets = cells.setdefault((run.spec.dataset, run.spec.method), {})
        budgets.setdefault(format_epsilon(run.spec.epsilon), Counter())[run.status] += 1
    width = max((len(method) for _, method in cells), default=0)
    lines, before = [], None
    for (dataset, method), budgets in cells.items():
        if dataset != before:
            lines.append(dataset)
            before = dataset
        parts = [f"eps {epsilon}: {_counts(counts)}" for epsilon, counts in budgets.items()]
        lines.append(f"  {method:{width}}  {'; '.join(parts)}")
    lines += [f"{run.spec.name()}: {run.status}: {run.reason}" for run in surveyed if run.reason]
    return "\n".join([*lines, f"in all: {_counts(Counter(run.status for run in surveyed))}"])


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())
