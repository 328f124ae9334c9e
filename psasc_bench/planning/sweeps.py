"""Where the records of a study's sweeps are kept, and which of their runs share a job."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from psasc_bench.planning.budgets import budget_file
from psasc_bench.study import Study, Trial, format_epsilon, method_trials, sweep_names


def study_trials(study: Study) -> dict[tuple[str, str, str], list[Trial]]:
    """The trials of every sweep, trained or not, by sweep, data set and method."""
    return {
        (name, dataset, method): method_trials(study, name, dataset, method)
        for name, sweep in study.sweeps.items()
        for dataset in sweep.datasets
        for method in sweep.methods
    }


def sweep_records(study: Study, results: Path, trials: Iterable[Trial], *, chosen_from: bool = False) -> list[str]:
    """The records of those of the ``trials`` that the workflow may be asked to train: all, or those that settings are
    chosen from."""
    asked = sweep_names(study, chosen_from=chosen_from)
    return [f"{run}.json" for run in _run_files((trial for trial in trials if trial.sweep in asked), results)]


def sweep_budgets(study: Study, results: Path, trials: Iterable[Trial]) -> list[str]:
    """The budgets of these trials. Raises ``ConfigError`` for a data set that cannot be read."""
    found = {
        budget_file(study, results, spec.dataset, epochs=spec.epochs, evaluation=spec.evaluation).format(
            epsilon=format_epsilon(spec.epsilon)
        )
        for trial in trials
        for spec in trial.runs
    }
    return sorted(found)


def job_trials(
    study: Study, results: Path, sweep: str, dataset: str, method: str, *, trials: Iterable[Trial]
) -> list[str]:
    """The files, less their endings, of the runs that share a job, as ``job_seeds``: all of the method's ``trials``, or
    any one."""
    if study.dataset(dataset).share_process:
        return _run_files(trials, results)
    return [f"{results}/sweeps/{sweep}/{{settings}}/runs/{dataset}/{method}/eps-{{epsilon}}/seed-{{seed}}"]


def job_trials_label(study: Study, dataset: str) -> str:
    """What the log of such a job is called."""
    return "all-trials" if study.dataset(dataset).share_process else "{settings}/eps-{epsilon}/seed-{seed}"


def job_trial_runs(study: Study, dataset: str, trials: Iterable[Trial]) -> int:
    """How many runs such a job has."""
    return sum(len(trial.runs) for trial in trials) if study.dataset(dataset).share_process else 1


def _run_files(trials: Iterable[Trial], results: Path) -> list[str]:
    return [f"{trial.folder(results / 'sweeps')}/{spec.name()}" for trial in trials for spec in trial.runs]
