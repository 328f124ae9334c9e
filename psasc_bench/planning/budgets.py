"""The schedules that budgets are calibrated for, and where each budget is kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from psasc_bench import models
from psasc_bench.study import Study, Trial, format_epsilon


def budget_labels(study: Study, dataset: str) -> list[str]:
    """The epsilons of a data set's runs, as they stand in file names. Raises ``ConfigError`` for a data set that the
    study has not."""
    epsilons = {epsilon for method in study.methods_on(dataset) for epsilon in study.cell_epsilons(dataset, method)}
    return [format_epsilon(epsilon) for epsilon in sorted(epsilons)]


def schedules(study: Study, trials: Iterable[Trial]) -> dict[tuple[str, int, str], list[str]]:
    """The epsilons, as they stand in file names, of every schedule of the study and of these ``trials``: of a data set
    for a number of epochs, with all training examples (test) or with those that are left when some are held out
    (validation)."""
    wanted = {
        (name, protocol.epochs, "test"): set(budget_labels(study, name)) for name, protocol in study.datasets.items()
    }
    for spec in (spec for trial in trials for spec in trial.runs):
        schedule = (spec.dataset, spec.epochs, spec.evaluation)
        wanted.setdefault(schedule, set()).add(format_epsilon(spec.epsilon))
    return {schedule: sorted(labels, key=float) for schedule, labels in wanted.items()}


def budget_file(
    study: Study, results: Path, dataset: str, *, epochs: int | None = None, evaluation: str = "test"
) -> str:
    """Where the budgets of a schedule are kept, by ``{epsilon}``; without a number of epochs, of the study's own.

    The name holds all that a budget is made from, so that it is never out of date. Raises ``ConfigError`` for a data
    set that the study has not, or that cannot be read.
    """
    protocol = study.dataset(dataset)
    schedule = (
        f"{models.identity(protocol.model)}_batch-{protocol.expected_batch_size}_epochs-{epochs or protocol.epochs}"
    )
    schedule += f"_delta-{protocol.delta!r}"
    if protocol.accountant != "rdp":
        schedule += f"_{protocol.accountant}"
    if evaluation != "test":
        schedule += f"_{evaluation}"
    return f"{results}/budgets/{dataset}/{study.prepared(dataset).stem}/{schedule}/eps-{{epsilon}}.json"
