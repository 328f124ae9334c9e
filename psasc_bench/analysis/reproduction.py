"""Two results folders beside each other: which of their cells are the same, and how far these are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench.analysis.statistics import RESOLUTION, t_interval, welch_interval
from psasc_bench.analysis.tidy import read_table
from psasc_bench.study import format_epsilon

CELL = ["dataset", "epsilon", "method"]
NEEDED = [*CELL, "seed", "status", "test_accuracy"]
DATA, SETTINGS = "data_sha256", "settings"
# What a cell is trained with, besides its data and the hyper-parameters of its method.
TRAINED = {
    "implementation": "method",
    "model": "model",
    "expected_batch_size": "expected batch size",
    "epochs": "epochs",
    "learning_rate": "learning rate",
    "momentum": "momentum",
    "optimiser": "optimiser",
    "augmentations": "augmentations",
    "delta": "delta",
    "accountant": "accountant",
    "noise_multiplier": "noise multiplier",
    "sampling_rate": "sampling rate",
    "sensitivity": "sensitivity",
}
Accuracies = Mapping[int, float]  # by seed


@dataclass(frozen=True, kw_only=True)
class CellPair:
    """A cell of both folders, with the ``name`` that it has in the first and the ``other`` in the second, and what in
    their settings is ``unlike``. ``difference`` is that of the mean accuracies (fractions), the second minus the first,
    with its 95 % interval from ``low`` to ``high``: over ``pairs`` of runs of one seed, of which ``same`` have the same
    accuracy, or by Welch where there is no pair."""

    name: str
    other: str
    unlike: tuple[str, ...]
    seeds: tuple[int, int]
    means: tuple[float, float]
    difference: float
    low: float
    high: float
    pairs: int
    same: int

    @property
    def identical(self) -> bool:
        """Whether all pairs are, and there are some."""
        return 0 < self.pairs == self.same


@dataclass(frozen=True)
class Reproduction:
    """The cells with finished runs that both folders have, and the names of those that one alone has."""

    pairs: tuple[CellPair, ...]
    first_alone: tuple[str, ...]
    second_alone: tuple[str, ...]


@dataclass(frozen=True)
class _Cell:
    name: str
    dataset: str
    accuracies: Accuracies
    made_of: Mapping[str, Any]


def compare_results(first: Path, second: Path) -> Reproduction:
    """The cells of two results folders, matched by the names of data set, method and epsilon or, where one has no cell
    of that name, by the same data, epsilon and settings under another.

    Runs of one seed are a pair if they share the data and the name of the data set, on which their initial weights,
    batches and noise depend. Raises ``OSError`` for an absent table, ``ValueError`` for one that lacks a column.
    """
    ours, theirs = _cells(first), _cells(second)
    matched = {name: name for name in ours if name in theirs}
    free = {_identity(cell): name for name, cell in theirs.items() if name not in matched and DATA in cell.made_of}
    for name, cell in ours.items():
        if name not in matched and (other := free.pop(_identity(cell), None)):
            matched[name] = other
    return Reproduction(
        tuple(_pair(ours[name], theirs[other]) for name, other in matched.items()),
        tuple(name for name in ours if name not in matched),
        tuple(name for name in theirs if name not in matched.values()),
    )


def _cells(results: Path) -> dict[str, _Cell]:
    """Those that have finished runs, by name."""
    path = results / "runs.csv"
    runs = read_table(path)
    if lacking := [column for column in NEEDED if column not in runs]:
        raise ValueError(f"{path}: has no column {lacking[0]!r}; `psasc-bench collect` makes it anew")
    found = {}
    for _, of_cell in runs[runs["status"] == "done"].groupby(CELL, sort=False):
        one = of_cell.iloc[0]
        name = f"{one['dataset']}/{one['method']}/eps-{format_epsilon(one['epsilon'])}"
        accuracies = dict(zip(of_cell["seed"], of_cell["test_accuracy"], strict=True))
        made_of = {key: one[key] for key in (*TRAINED, DATA) if key in one and not pd.isna(one[key])}
        made_of |= dict(pair.split("=") for pair in str(one.get(SETTINGS, "")).split(",") if "=" in pair)
        found[name] = _Cell(name, str(one["dataset"]), accuracies, {"epsilon": one["epsilon"], **made_of})
    return found


def _identity(cell: _Cell) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, _text(value)) for key, value in cell.made_of.items()))


def _pair(ours: _Cell, theirs: _Cell) -> CellPair:
    same_data = ours.dataset == theirs.dataset and ours.made_of.get(DATA) == theirs.made_of.get(DATA)
    shared = sorted(set(ours.accuracies) & set(theirs.accuracies)) if same_data else []
    differences = pd.Series([theirs.accuracies[seed] - ours.accuracies[seed] for seed in shared], dtype=float)
    samples = [t_interval(pd.Series(cell.accuracies, dtype=float).to_numpy()) for cell in (ours, theirs)]
    means, sizes = (samples[0][0], samples[1][0]), (len(ours.accuracies), len(theirs.accuracies))
    if shared:
        difference, low, high = t_interval(differences.to_numpy())
    else:
        difference = means[1] - means[0]
        halves = [mean - low for mean, low, _ in samples]
        low, high = welch_interval(means[1], halves[1], sizes[1], means[0], halves[0], sizes[0])
    return CellPair(
        name=ours.name,
        other=theirs.name,
        unlike=tuple(_unlike(ours.made_of, theirs.made_of)),
        seeds=sizes,
        means=means,
        difference=difference,
        low=low,
        high=high,
        pairs=len(shared),
        same=int((differences.abs() < RESOLUTION).sum()),
    )


def _unlike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """In words, of what both say."""
    for key in ours:
        one, other = _text(ours[key]), _text(theirs.get(key, ours[key]))
        if one != other:
            yield "the data" if key == DATA else f"{TRAINED.get(key, key)} {one} and {other}"


def _text(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, int | float) and math.isfinite(value) else str(value)
