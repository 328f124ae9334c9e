"""What came of the trials of a study's sweeps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psasc_bench import methods, optimisers, records
from psasc_bench.records import Run, look, present_data
from psasc_bench.study import Study, Trial, spec_identity, sweep_trials, varied_settings

Row = Mapping[str, Any]


def sweep_table(
    study: Study, chosen: Sequence[str], sweeps: Path, *, withheld: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One row per run of these sweeps, with its ``status`` (see ``status``), ``settings`` (the trial's name), every
    setting as it was and, once it has ended, ``accuracy`` on its ``evaluation`` examples (a fraction), ``seconds`` and
    ``threads``. The records at paths that are ``withheld`` count as failed. Raises ``ValueError`` naming a file that is
    no record, or no curve of its record."""
    looked = _looked(study, chosen, sweeps, withheld)
    return [_row(study, trial, run, trial.folder(sweeps)) for trial, run, _ in looked]


def sweep_curves(
    study: Study, chosen: Sequence[str], sweeps: Path, *, withheld: Collection[str] = ()
) -> list[dict[str, Any]]:
    """One row per epoch of every ended run of these sweeps that is not ``withheld``: what ``sweep_table`` says of the
    run but its end, and the row of its curve. Raises as that does."""
    return [
        _settled(study, trial, run) | epoch
        for trial, run, curve in _looked(study, chosen, sweeps, withheld)
        for epoch in curve
    ]


def _looked(
    study: Study, chosen: Sequence[str], sweeps: Path, withheld: Collection[str]
) -> Iterator[tuple[Trial, Run, list[dict[str, str]]]]:
    """Every run of these sweeps, with the rows of its curve if it has ended."""
    present = {dataset: present_data(study, dataset) for name in chosen for dataset in study.sweep(name).datasets}
    for trial in sweep_trials(study, chosen):
        for spec in trial.runs:
            path = trial.folder(sweeps) / f"{spec.name()}.json"
            run = look(spec, present[spec.dataset], trial.folder(sweeps))
            if str(path) in withheld:
                run = Run(spec, "failed", None)
            yield trial, run, records.read_curve(path, run.record) if run.record else []


def _settled(study: Study, trial: Trial, run: Run) -> dict[str, Any]:
    """What is known of a run before it has ended, and its status."""
    spec = run.spec
    method = methods.create(spec.method, dict(spec.parameters))
    return {
        "sweep": trial.sweep,
        "dataset": spec.dataset,
        "dataset_title": study.dataset(spec.dataset).title,
        "epsilon": spec.epsilon,
        "method": spec.label,
        "method_title": study.method_title(spec.label),
        "seed": spec.seed,
        "evaluation": spec.evaluation,
        "drawn": bool(study.sweep(trial.sweep).trials),
        "status": run.status,
        "settings": trial.name,
        "identity": spec_identity(study, spec, varied=varied_settings(trial.name)),
        **{key: getattr(spec, key) for key in ("learning_rate", "momentum", "epochs")},
        "sensitivity": method.sensitivity(),
        **spec.parameters,
        **{
            f"{optimisers.called(rule)}.{key}": value
            for rule, of in optimisers.listed(spec.optimiser).items()
            for key, value in of.items()
        },
        **({"augmentations": spec.augmentations} if spec.augment else {}),
    }


def _row(study: Study, trial: Trial, run: Run, folder: Path) -> dict[str, Any]:
    row = _settled(study, trial, run) | dict.fromkeys(["accuracy", "steps_taken", "seconds", "threads"])
    if run.record is None:
        return row
    try:
        ended = {
            "accuracy": run.record.result[f"{run.spec.evaluation}_accuracy"],
            "steps_taken": run.record.ledger["steps_taken"],
            "seconds": run.record.seconds["total"],
            "threads": run.record.provenance["threads"],
        }
    except KeyError as error:
        why = f"a damaged run record (lacks {error}); {records.REMEDY}"
        raise ValueError(f"{folder / run.spec.name()}.json: {why}") from None
    return row | ended


def sweep_cost(rows: Sequence[Row]) -> str:
    """In words, what these runs took."""
    seconds = [row["seconds"] * row["threads"] for row in rows if row["seconds"] is not None]
    return f"{len(seconds)} runs, {sum(seconds) / 3600:.2f} core-hours"
