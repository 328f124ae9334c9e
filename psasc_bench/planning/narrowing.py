"""The study as far as it concerns a job, as JSON: what a job does not depend on must not make it due."""

from __future__ import annotations

import json
from typing import Any

from psasc_bench.study import Study


def cell_study(study: Study, dataset: str, method: str) -> str:
    """The study as far as it concerns the runs of one method on one data set. Raises ``ConfigError`` for a data set
    that the study has not."""
    return _as_text(_cell(study, dataset, method))


def audited_study(study: Study) -> str:
    """The study as far as it concerns the audit: methods as on the first data set, and epsilons."""
    return _as_text(_dataset(study, next(iter(study.datasets))) | {"epsilons": study.epsilons})


def trajectory_study(study: Study, dataset: str) -> str:
    """The study as far as it concerns the deviations of its methods along one run. Raises ``ConfigError`` for a data
    set that the study has not."""
    narrowed = _dataset(study, dataset)
    narrowed["datasets"][dataset] |= {"title": study.dataset(dataset).title, "probe_every_epochs": 0}
    return _as_text(narrowed)


def sweep_study(
    study: Study, sweep: str, dataset: str, method: str, *, settings: str = "", epsilon: str = "", seed: str = ""
) -> str:
    """The study as far as it concerns the trials of a method; where a job is a single run of them, ``settings``,
    ``epsilon`` and ``seed`` say which, as they stand in its file's name. Raises ``ConfigError`` for a sweep or a data
    set that the study has not."""
    grids = study.sweep(sweep).model_dump(mode="json")
    grids |= {"datasets": [dataset], "methods": {method: grids["methods"][method]}}
    if not study.dataset(dataset).share_process:
        pairs = (pair.split("=") for pair in settings.split(","))
        grids |= {"methods": {method: {key: float(value) for key, value in pairs}}, "seeds": [int(seed)]}
        if epsilon != "inf":
            grids["epsilons"] = [float(epsilon)]
    unlike = {"seeds": [max(grids["seeds"]) + 1]}  # a study has other seeds than its tuning
    return _as_text(_cell(study, dataset, method) | unlike | {"sweeps": {sweep: grids}})


def _cell(study: Study, dataset: str, method: str) -> dict[str, Any]:
    protocol = study.dataset(dataset)
    unconcerned: dict[str, Any] = {
        "title": dataset,
        "overrides": {},
        "epsilons": None,
        "seeds": None,
        "more_seeds": {},
        "share_process": False,
    }
    return {
        "seeds": [0],
        "epsilons": [1],
        "methods": {method: study.methods[method] | protocol.overrides.get(method, {})},
        "datasets": {dataset: protocol.model_dump(mode="json") | unconcerned},
    }


def _dataset(study: Study, dataset: str) -> dict[str, Any]:
    """The study as far as it concerns its methods on one data set."""
    cells = [_cell(study, dataset, method) for method in study.methods]
    settings = {method: values for cell in cells for method, values in cell["methods"].items()}
    return cells[0] | {"methods": settings}


def _as_text(narrowed: dict[str, Any]) -> str:
    return json.dumps(narrowed, sort_keys=True)
