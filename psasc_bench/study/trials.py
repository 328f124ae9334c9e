"""The trials of a study's sweeps: each a method with settings in place of the study's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psasc_bench import methods
from psasc_bench.study.settings import (
    MOST_EPOCHS,
    STANDING_FOR,
    ClaimsConfig,
    ConfigError,
    Settings,
    Sweep,
    hyperparameters,
)
from psasc_bench.study.spec import RunSpec
from psasc_bench.study.study import Study
from psasc_bench.study.threshold import threshold


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


def sweep_names(study: Study, *, chosen_from: bool = False) -> list[str]:
    """The sweeps on data sets that the study trains: all, or those that settings are chosen from."""
    return [
        name
        for name, sweep in study.sweeps.items()
        if set(sweep.datasets) <= set(study.trained()) and (sweep.chosen_from or not chosen_from)
    ]


def method_trials(study: Study, name: str, dataset: str, method: str) -> list[Trial]:
    """The trials of a method on a data set. Raises ``ValueError`` for a sweep that the study has not."""
    sweep = study.sweep(name)
    return [
        Trial(name, settings, _runs(study, sweep, dataset, method, settings)) for settings in sweep.settings(method)
    ]


def _runs(study: Study, sweep: Sweep, dataset: str, method: str, settings: Settings) -> tuple[RunSpec, ...]:
    varied = trial_study(study, sweep, dataset, method, settings)
    cells = [(cell, replace(varied.spec(cell, seed=0), evaluation=sweep.evaluation)) for cell in varied.cells()]
    return tuple(replace(spec, seed=seed) for cell, spec in cells for seed in varied.cell_seeds(dataset, cell.epsilon))


def sweep_trials(study: Study, chosen: Sequence[str]) -> Iterator[Trial]:
    """The trials of these sweeps on all their data sets."""
    for name in chosen:
        for dataset in study.sweeps[name].datasets:
            for method in study.sweeps[name].methods:
                yield from method_trials(study, name, dataset, method)


def trial_study(study: Study, sweep: Sweep, dataset: str, method: str, settings: Settings) -> Study:
    """One trial, as a study of its own: ``settings`` go before all others. Of these, ``epochs`` takes the place of the
    data set's, ``sensitivity`` stands for the ``C`` that gives it, and ``step`` for the learning rate at which it is
    the longest step that an example can make: ``step / sensitivity``. Raises ``ValueError`` for settings that the
    method has not."""
    protocol, implementation = study.dataset(dataset), study.implementation(method)
    epochs = settings.get("epochs", protocol.epochs)
    if epochs != int(epochs) or epochs > MOST_EPOCHS:
        raise ConfigError(f"epochs must be a whole number up to {MOST_EPOCHS}, got {epochs:g}")
    varied = {key: value for key, value in settings.items() if key != "epochs"}

    def resolved(epsilon: float) -> Settings:
        return _resolved(implementation, study.said(dataset, method, epsilon) | varied, protocol.sensitivity)

    own: dict[str, Any] = {
        "epochs": int(epochs),
        "methods": None,
        "overrides": {},
        "overrides_by_epsilon": {
            epsilon: {method: resolved(epsilon)}
            for epsilon in protocol.overrides_by_epsilon
            if epsilon in sweep.epsilons
        },
    }
    own |= {"epsilons": None, "seeds": None, "more_seeds": {}}
    changes: dict[str, Any] = {
        "datasets": {dataset: protocol.model_copy(update=own)},
        "methods": {method: study.methods[method].having(resolved(math.inf))},
        "claims": ClaimsConfig(),
    }
    return study.model_copy(
        update=changes | {"epsilons": sweep.epsilons, "seeds": sweep.seeds, "train": None, "sweeps": {}}
    )


def _resolved(name: str, settings: Settings, sensitivity: float | None) -> Settings:
    """With what ``sensitivity`` and ``step`` stand for in their places. Where neither that one nor a ``C`` is given,
    the data set's ``sensitivity`` is the method's."""
    found = {key: value for key, value in settings.items() if key not in STANDING_FOR}
    if "sensitivity" in settings:
        found["C"] = threshold(name, found, sensitivity=settings["sensitivity"])
    if "step" in settings:
        found["learning_rate"] = settings["step"] / _sensitivity(name, found, sensitivity)
    return found


def _sensitivity(name: str, settings: Settings, default: float | None) -> float:
    if default is not None and "C" not in settings and "C" in methods.required(name):
        return default
    found = methods.sensitivity(name, methods.create(name, hyperparameters(settings)))
    if math.isinf(found):
        raise ConfigError(f"step: {name} has no sensitivity to divide it by; vary learning_rate")
    return found
