"""Where the records of a study's own runs are kept, and which runs share a job."""

from __future__ import annotations

from pathlib import Path

from psasc_bench.planning.budgets import budget_labels
from psasc_bench.study import Study


def run_records(study: Study, results: Path) -> list[str]:
    """The records of all runs that the workflow is to see trained."""
    trained = study.trained()
    return [
        f"{results}/runs/{spec.name()}.json"
        for cell in study.cells()
        if cell.dataset in trained
        for spec in study.specs(cell)
    ]


def job_seeds(study: Study, dataset: str) -> list[str]:
    """The seeds that share a job: all of a cell where starting a process costs as much as a run, else any one."""
    if study.dataset(dataset).share_process:
        epsilon = min(study.budgets(dataset))  # all have the same seeds
        return [f"seed-{seed}" for seed in study.cell_seeds(dataset, epsilon)]
    return ["seed-{seed}"]


def job_label(study: Study, dataset: str) -> str:
    """What the log of such a job is called."""
    return "all-seeds" if study.dataset(dataset).share_process else "seed-{seed}"


def job_runs(study: Study, dataset: str, *, method: str, epsilon: str, seed: str = "") -> set[str]:
    """The names of the runs that share the job of these wildcards; ``seed`` is one where a job is a single run."""
    seeds = [name.format(seed=seed) for name in job_seeds(study, dataset)]
    return {f"{dataset}/{method}/eps-{epsilon}/{name}" for name in seeds}


def trajectories(study: Study, results: Path) -> list[str]:
    """The deviations along one DP-SGD run for each data set that is trained, each epsilon and seed."""
    return [
        f"{results}/deviation/{dataset}/eps-{label}/seed-{seed}.csv"
        for dataset in study.trained()
        for label in budget_labels(study, dataset)
        if label != "inf"
        for seed in study.cell_seeds(dataset, float(label))
    ]
