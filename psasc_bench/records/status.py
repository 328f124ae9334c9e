"""How far a study is: a status for each of its runs, from what lies in the results folder, at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from psasc_bench import data
from psasc_bench.data import Features
from psasc_bench.files import held
from psasc_bench.records import record, spool
from psasc_bench.records.identity import fingerprint
from psasc_bench.records.record import Record
from psasc_bench.study import RunSpec, Study, format_epsilon

# A record's own status; "stale": a record, but of another spec, other code or other data than now; "running": a process
# holds the run's lock; "missing": none of these, perhaps with a checkpoint to go on from.
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


@dataclass(frozen=True)
class PresentData:
    """What can be known of a data set without reading it: its ``source`` and ``features``, the name of what it is
    ``made_of`` and, once it is prepared, its SHA-256."""

    source: str
    features: Features
    made_of: str | None = None
    sha256: str | None = None


def present_data(study: Study, dataset: str) -> PresentData:
    """A data set of the study as it is now, with nothing of its content if that cannot be read."""
    protocol = study.dataset(dataset)
    try:
        prepared = study.prepared(dataset)
    except ValueError:
        return PresentData(protocol.source, protocol.features)
    return PresentData(protocol.source, protocol.features, prepared.stem, data.known_sha256(prepared))


def survey(study: Study, runs: Path) -> Iterator[Run]:
    """Every run of the study, in its order. Raises ``ValueError`` naming a file that is no record."""
    present = {dataset: present_data(study, dataset) for dataset in study.datasets}
    for cell in study.cells():
        for spec in study.specs(cell):
            yield look(spec, present[cell.dataset], runs)


def look(spec: RunSpec, present: PresentData, runs: Path) -> Run:
    """One run, as it is with the present code and data. Raises ``ValueError`` naming a file that is no record."""
    path = runs / f"{spec.name()}.json"
    found = record.read(path) if path.is_file() else None
    if found:
        now = fingerprint(spec, source=present.source, features=present.features)
        if found.current(spec, now, data_sha256=present.sha256, made_of=present.made_of):
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
            "method": run.spec.label,
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
        budgets = cells.setdefault((run.spec.dataset, run.spec.label), {})
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
