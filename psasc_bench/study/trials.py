"""The trials of a study's sweeps: each a method with settings in place of the study's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from psasc_bench.study.settings import Sweep
from psasc_bench.study.spec import RunSpec
from psasc_bench.study.study import Study


@dataclass(frozen=True)
class Trial:
    """A method on a data set with settings in place of the study's own, and its runs: one per epsilon and seed."""

    sweep: str
    settings: Mapping[str, float]
    runs: tuple[RunSpec, ...]

    @property
    def name(self) -> str:
        return ",".join(f"{key}={value:g}" for key, value in sorted(self.settings.items()))

    def folder(self, sweeps: Path) -> Path:
        """Where its records are kept, under the names of their specs: trials of one method differ in nothing else."""
        return sweeps / self.sweep / self.name / "runs"


def sweep_names(study: Study, evaluation: str | None = None) -> list[str]:
    """The sweeps on data sets that the study trains: all, or those that are evaluated on ``test`` or ``validation``."""
    return [
        name
        for name, sweep in study.sweeps.items()
        if set(sweep.datasets) <= set(study.trained()) and evaluation in (None, sweep.evaluation)
    ]


def method_trials(study: Study, name: str, dataset: str, method: str) -> list[Trial]:
    """The trials of a method on a data set. Raises ``ValueError`` for a sweep that the study has not."""
    sweep = study.sweep(name)
    return [Trial(name, settings, _runs(study, sweep, dataset, method, settings)) for settings in sweep.trials(method)]


def _runs(study: Study, sweep: Sweep, dataset: str, method: str, settings: Mapping[str, float]) -> tuple[RunSpec, ...]:
    varied = study.trial(sweep, dataset, method, dict(settings))
    return tuple(
        replace(varied.spec(cell, seed), evaluation=sweep.evaluation)
        for cell in varied.cells()
        for seed in varied.cell_seeds(dataset, cell.epsilon)
    )


def sweep_trials(study: Study, chosen: Sequence[str]) -> Iterator[Trial]:
    """The trials of these sweeps on all their data sets."""
    for name in chosen:
        for dataset in study.sweeps[name].datasets:
            for method in study.sweeps[name].methods:
                yield from method_trials(study, name, dataset, method)
