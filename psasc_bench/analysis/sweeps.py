"""What came of the trials of a study's sweeps, and which settings to choose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from psasc_bench import methods, records
from psasc_bench.records import Run, look, present_data
from psasc_bench.study import OPTIMISER, Study, Trial, spec_identity, sweep_trials, varied_settings

Row = Mapping[str, Any]
FEW = 3  # of fewer values than this, each is at an edge


@dataclass(frozen=True)
class Choice:
    """The best of a method's trials on a data set, by mean accuracy (fractions); ``settings`` are what the study would
    be given, ``edges`` those of them that are the smallest or largest tried with the others as they are."""

    dataset: str
    method: str
    settings: Mapping[str, float]
    accuracy: float
    next_best: float | None
    trials: int
    runs: int
    edges: tuple[str, ...]


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
        "status": run.status,
        "settings": trial.name,
        "identity": spec_identity(study, spec, varied=varied_settings(trial.name)),
        **{key: getattr(spec, key) for key in (*OPTIMISER, "epochs")},
        "sensitivity": method.sensitivity(),
        **spec.parameters,
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


def choose(rows: Sequence[Row]) -> list[Choice]:
    """For every data set and method, the trial with the highest mean accuracy over its epsilons and seeds; of equals
    the first. A trial of which a run diverged or failed is out of the question.

    Raises ``ValueError`` if runs are missing, or a method has no trial to choose.
    """
    if unfinished := [row for row in rows if row["status"] not in ("done", "diverged", "failed")]:
        first = unfinished[0]
        where = f"{first['sweep']}/{first['settings']}/{first['dataset']}/{first['method']}"
        raise ValueError(f"{len(unfinished)} runs are missing or stale, as of {where}; `snakemake tune` trains them")
    return [_choice(list(group)) for _, group in groupby(rows, key=lambda row: (row["dataset"], row["method"]))]


def _choice(rows: Sequence[Row]) -> Choice:
    """``rows`` are a method's on one data set."""
    tried = {name: list(group) for name, group in groupby(rows, key=lambda row: row["settings"])}
    means = {
        name: fmean(row["accuracy"] for row in runs)
        for name, runs in tried.items()
        if all(row["status"] == "done" for row in runs)
    }
    dataset, method = rows[0]["dataset"], rows[0]["method"]
    if not means:
        raise ValueError(f"{dataset}/{method}: a run of every trial diverged or failed; try lower learning rates")
    best, *others = sorted(means, key=lambda name: -means[name])
    return Choice(
        dataset=dataset,
        method=method,
        settings=_settings(tried[best][0]),
        accuracy=means[best],
        next_best=means[others[0]] if others else None,
        trials=len(tried),
        runs=len(rows),
        edges=_edges(_settings(tried[best][0]), [_settings(runs[0]) for runs in tried.values()]),
    )


def _settings(row: Row) -> dict[str, float]:
    """The settings of the row's trial, as a study is given them."""
    varied = (pair.partition("=")[0] for pair in row["settings"].split(","))
    return {key: row[key] for key in ("C" if name == "sensitivity" else name for name in varied)}


def _edges(chosen: Mapping[str, float], tried: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    def beside(key: str) -> set[float]:
        return {one[key] for one in tried if key in one and {**one, key: 0} == {**chosen, key: 0}}

    values = {key: beside(key) for key in chosen}
    return tuple(key for key, of in values.items() if len(of) >= FEW and chosen[key] in (min(of), max(of)))


def sweep_cost(rows: Sequence[Row]) -> str:
    """In words, what these runs took."""
    seconds = [row["seconds"] * row["threads"] for row in rows if row["seconds"] is not None]
    return f"{len(seconds)} runs, {sum(seconds) / 3600:.2f} core-hours"


def tuned_study(rows: Sequence[Row]) -> str:
    """What ``choose`` chooses, with the evidence, as YAML that Snakemake lays over the study."""
    lines = [HEADER.format(cost=sweep_cost(rows)), "datasets:"]
    for dataset, choices in groupby(choose(rows), key=lambda choice: choice.dataset):
        lines += [f"  {dataset}:", "    overrides:"]
        for choice in choices:
            settings = ", ".join(f"{key}: {value!r}" for key, value in choice.settings.items())
            lines += [f"      # {_evidence(choice)}", f"      {choice.method}: {{{settings}}}"]
    return "\n".join(lines) + "\n"


def _evidence(choice: Choice) -> str:
    parts = [f"{100 * choice.accuracy:.2f} %, the best of {choice.trials} trials ({choice.runs} runs)"]
    if choice.next_best is not None:
        parts.append(f"the next {100 * choice.next_best:.2f} %")
    if choice.edges:
        parts.append(f"at the edge of its grid: {', '.join(choice.edges)}")
    return "; ".join(parts)


HEADER = """\
# Written by `snakemake tune`. Of each method's trials, the one with the highest mean accuracy over epsilons and seeds,
# the first of equals. Accuracy was measured on a sixth of the training examples, which none of these runs was trained
# on; the test examples took no part. All methods had the same number of trials. Cost: {cost}.
# Choosing is not accounted for in epsilon. To train the study that was tuned with what was chosen:
# snakemake --configfile config/config.yaml results/tuned.yaml"""
