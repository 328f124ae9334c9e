"""What a row of a table made on request is of: a digest of data, protocol, method and settings, but of no name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from psasc_bench import data, optimisers, plugins
from psasc_bench.study.settings import STANDING_FOR, ConfigError
from psasc_bench.study.spec import RunSpec
from psasc_bench.study.study import Study

# Of a specification, what says nothing of how is trained, or stands in a column of its own.
LEFT_OUT = {"dataset", "seed", "evaluation", "listed_as", "epsilon"}


def spec_identity(study: Study, spec: RunSpec, *, varied: Collection[str] = ()) -> str:
    """16 hex digits of the SHA-256 of what a run of ``study`` is made from, but for its epsilon, seed and names, and
    for what is ``varied``: names of hyper-parameters and of other parts of a specification. Raises ``ConfigError`` if
    its data cannot be read."""
    return _identify(study, _origin(study, spec.dataset), spec, varied)


def known_identities(study: Study, *, varied: Collection[str] = ()) -> set[tuple[str, float]]:
    """Those of all cells of ``study``, each with its epsilon; a data set whose file cannot be read has none."""
    origins = {}
    for name in study.datasets:
        with suppress(ConfigError):
            origins[name] = _origin(study, name)
    return {
        (_identify(study, origins[cell.dataset], study.spec(cell, 0), varied), cell.epsilon)
        for cell in study.cells()
        if cell.dataset in origins
    }


def varied_settings(trial: str) -> tuple[str, ...]:
    """What a trial called ``C=0.1,epochs=3`` varies of a specification, of which some settings stand for others."""
    names = [pair.partition("=")[0] for pair in trial.split(",") if pair]
    return tuple(STANDING_FOR.get(name, name) for name in names)


def _identify(study: Study, origin: str, spec: RunSpec, varied: Collection[str]) -> str:
    left_out = LEFT_OUT | set(varied)
    held: dict[str, Any] = {}
    if varied and "C" not in varied and study.derives_threshold(spec.dataset, spec.label, spec.epsilon):
        left_out |= {"C"}  # it follows from what is varied
        held["sensitivity"] = study.dataset(spec.dataset).sensitivity
    values = held | {key: value for key, value in spec.to_json().items() if key not in left_out}
    values["parameters"] = {key: float(value) for key, value in spec.parameters.items() if key not in left_out}
    if "optimiser" in values:
        values["optimiser"] = [
            [
                optimisers.identity(name),
                {
                    key: float(value)
                    for key, value in settings.items()
                    if f"{optimisers.called(name)}.{key}" not in left_out
                },
            ]
            for name, settings in optimisers.listed(spec.optimiser).items()
        ]
    return hashlib.sha256(json.dumps([origin, values], sort_keys=True).encode()).hexdigest()[:16]


def _origin(study: Study, name: str) -> str:
    """Where the data set is from, with what its images are scaled by and, of a file, its content."""
    dataset = study.dataset(name)
    try:
        content = data.content(Path(dataset.path)) if dataset.path else ""
        source = f"file-{data.fingerprint(dataset.source)}" if plugins.is_file(dataset.source) else dataset.source
    except ValueError as error:
        raise ConfigError(f"datasets.{name}.path: {error}") from None
    chosen = [value for value in (dataset.size, dataset.label) if value is not None]
    return json.dumps([source, dataset.features, dataset.mean, dataset.deviation, content, *chosen])
