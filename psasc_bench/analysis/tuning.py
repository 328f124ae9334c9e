"""Which settings to choose from the trials of a study's sweeps, and the evidence for them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from psasc_bench.analysis.sweeps import Row, sweep_cost
from psasc_bench.study import STANDING_FOR, format_epsilon

FEW = 3  # of fewer values than this, each is at an edge
OUTER = 0.1  # of the range of what was tried, at either end


@dataclass(frozen=True)
class Choice:
    """The best of a method's trials on a data set at an epsilon, by mean accuracy over seeds (fractions); ``settings``
    are what the study would be given, ``edges`` what was varied and has its best value where little was tried beyond
    it."""

    sweep: str
    dataset: str
    epsilon: float
    method: str
    settings: Mapping[str, float]
    accuracy: float
    next_best: float | None
    trials: int
    runs: int
    edges: tuple[str, ...]


def choose(rows: Sequence[Row]) -> list[Choice]:
    """By data set, epsilon and method, in this order: the trial with the highest mean accuracy over its seeds, of
    equals the first. A trial of which a run diverged or failed is out of the question.

    Raises ``ValueError`` if runs are missing, or a method has no trial to choose.
    """
    if unfinished := [row for row in rows if row["status"] not in ("done", "diverged", "failed")]:
        first = unfinished[0]
        where = f"{first['sweep']}/{first['settings']}/{first['dataset']}/{first['method']}"
        raise ValueError(f"{len(unfinished)} runs are missing or stale, as of {where}; `snakemake tune` trains them")
    places = {part: place for key in ("dataset", "method") for place, part in enumerate(_distinct(rows, key))}
    cells = _grouped(rows, "dataset", "epsilon", "method")
    ordered = sorted(cells, key=lambda cell: (places[cell[0]], cell[1], places[cell[2]]))
    return [_choice(cells[cell]) for cell in ordered]


def _distinct(rows: Iterable[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _choice(rows: Sequence[Row]) -> Choice:
    """``rows`` are a method's on one data set at one epsilon."""
    tried = {name: runs for (name,), runs in _grouped(rows, "settings").items()}
    means = {
        name: fmean(row["accuracy"] for row in runs)
        for name, runs in tried.items()
        if all(row["status"] == "done" for row in runs)
    }
    first = rows[0]
    if not means:
        where = f"{first['dataset']}/{first['method']} at epsilon {format_epsilon(first['epsilon'])}"
        raise ValueError(f"{where}: a run of every trial diverged or failed; try lower learning rates")
    best, *others = sorted(means, key=lambda name: -means[name])
    return Choice(
        sweep=first["sweep"],
        dataset=first["dataset"],
        epsilon=first["epsilon"],
        method=first["method"],
        settings=_given(best, tried[best][0]),
        accuracy=means[best],
        next_best=means[others[0]] if others else None,
        trials=len(tried),
        runs=len(rows),
        edges=_edges(_varied(best), [_varied(name) for name in tried]),
    )


def _varied(trial: str) -> dict[str, float]:
    """The settings of a trial, from its name."""
    pairs = (pair.partition("=") for pair in trial.split(","))
    return {name: float(value) for name, _, value in pairs}


def _given(trial: str, run: Row) -> dict[str, float]:
    """As a study would give them: for what stands for another setting, that one, as the trial's ``run`` had it."""
    varied = _varied(trial)
    return {STANDING_FOR[name]: run[STANDING_FOR[name]] for name in varied if name in STANDING_FOR} | {
        name: value for name, value in varied.items() if name not in STANDING_FOR
    }


def _edges(chosen: Mapping[str, float], tried: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Those of the ``chosen`` settings that are in the outer tenth, on a log scale, of the values ``tried``: of all,
    for settings vary together, or of those with the other settings as they are."""

    def at_edge(key: str) -> bool:
        having = [one for one in tried if key in one]
        beside = [one for one in having if {**one, key: 0} == {**chosen, key: 0}]
        return any(_outer(chosen[key], {one[key] for one in of}) for of in (having, beside))

    return tuple(key for key in chosen if at_edge(key))


def _outer(value: float, values: Collection[float]) -> bool:
    if len(values) < FEW:
        return False
    low, high = math.log(min(values)), math.log(max(values))
    margin = OUTER * (high - low)
    return not low + margin < math.log(value) < high - margin


def edge_notes(rows: Sequence[Row]) -> list[str]:
    """A line for each choice that may be better still beyond what was tried, with the remedy."""
    return [_edge_note(choice) for choice in choose(rows) if choice.edges]


def _edge_note(choice: Choice) -> str:
    where = f"{choice.dataset}/{choice.method} at epsilon {format_epsilon(choice.epsilon)}"
    return (
        f"{where}: at the edge of what was tried: {', '.join(choice.edges)}; extend it, by as many trials for every "
        f"method (config: sweeps.{choice.sweep}.methods.{choice.method})"
    )


def tuned_study(rows: Sequence[Row]) -> str:
    """What ``choose`` chooses, with the evidence, as YAML that Snakemake lays over the study: of the data sets that
    were tuned, the methods and epsilons that were."""
    lines = [HEADER.format(cost=sweep_cost(rows)), "datasets:"]
    for dataset, of_dataset in groupby(choose(rows), key=lambda choice: choice.dataset):
        choices = list(of_dataset)
        epsilons = dict.fromkeys(choice.epsilon for choice in choices if math.isfinite(choice.epsilon))
        methods = dict.fromkeys(choice.method for choice in choices)
        lines += [f"  {dataset}:", "    tuned: true", f"    methods: [{', '.join(methods)}]"]
        if epsilons:
            lines += [f"    epsilons: [{', '.join(map(format_epsilon, epsilons))}]", "    overrides_by_epsilon:"]
        for epsilon in epsilons:
            lines += [f"      {format_epsilon(epsilon)}:", *_overrides(choices, epsilon, indent=8)]
        if without_privacy := _overrides(choices, math.inf, indent=6):
            lines += ["    overrides:", *without_privacy]
    return "\n".join(lines) + "\n"


def _overrides(choices: Iterable[Choice], epsilon: float, *, indent: int) -> list[str]:
    lines = []
    for choice in (choice for choice in choices if choice.epsilon == epsilon):
        settings = ", ".join(f"{key}: {value:.6g}" for key, value in choice.settings.items())
        lines += [f"# {_evidence(choice)}", f"{choice.method}: {{{settings}}}"]
    return [" " * indent + line for line in lines]


def _evidence(choice: Choice) -> str:
    parts = [f"{100 * choice.accuracy:.2f} %, the best of {choice.trials} trials ({choice.runs} runs)"]
    if choice.next_best is not None:
        parts.append(f"the next {100 * choice.next_best:.2f} %")
    if choice.edges:
        parts.append(f"at the edge of what was tried: {', '.join(choice.edges)}")
    return "; ".join(parts)


HEADER = """\
# Written by `snakemake tune`. At each epsilon, of each method's trials the one with the highest mean accuracy over
# seeds, the first of equals. Accuracy was measured on a sixth of the training examples, which none of these runs was
# trained on; the test examples took no part. All methods had the same number of trials. Cost: {cost}.
# Choosing is not accounted for in epsilon. To train the study that was tuned with what was chosen, give its own file
# (config/config.yaml, if you gave none) and this one: snakemake --configfile STUDY.yaml path/to/this/tuned.yaml"""
