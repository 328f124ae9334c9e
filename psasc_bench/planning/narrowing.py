"""The study as far as it concerns a job, as JSON: what a job does not depend on must not make it due."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from psasc_bench.study import Study

OF_METHOD = ("optimiser", "augment")  # what a method says beside its settings, in place of the data set


def cell_study(study: Study, dataset: str, method: str, epsilon: float) -> str:
    """The study as far as it concerns the runs of one method on one data set at one epsilon. Raises ``ConfigError`` for
    a data set that the study has not."""
    return _as_text(_cell(study, dataset, method, epsilons=(epsilon,)))


def audited_study(study: Study) -> str:
    """The study as far as it concerns the audit: methods, each as on the first data set that is trained with it, and
    epsilons."""
    narrowed: dict[str, Any] = {"seeds": [0], "epsilons": study.epsilons, "methods": {}, "datasets": {}}
    for dataset in study.datasets:
        if audited := [name for name in study.methods_on(dataset) if name not in narrowed["methods"]]:
            own = _dataset(study, dataset, audited)
            own["datasets"][dataset]["methods"] = audited
            narrowed = {key: value | own[key] if isinstance(value, dict) else value for key, value in narrowed.items()}
    return _as_text(narrowed)


def trajectory_study(study: Study, dataset: str) -> str:
    """The study as far as it concerns the deviations of its methods along one run. Raises ``ConfigError`` for a data
    set that the study has not."""
    narrowed = _dataset(study, dataset, study.methods_on(dataset))
    narrowed["datasets"][dataset] |= {"title": study.dataset(dataset).title, "probe_every_epochs": 0}
    return _as_text(narrowed)


def sweep_study(
    study: Study, sweep: str, dataset: str, method: str, *, settings: str = "", epsilon: str = "", seed: str = ""
) -> str:
    """The study as far as it concerns the trials of a method; where a job is a single run of them, ``settings``,
    ``epsilon`` and ``seed`` say which, as they stand in its file's name. Raises ``ConfigError`` for a sweep or a data
    set that the study has not."""
    grids = study.sweep(sweep).model_dump(mode="json")
    grids |= {"choose": True, "datasets": [dataset], "methods": {method: grids["methods"][method]}}
    if not study.dataset(dataset).share_process:
        pairs = (pair.split("=") for pair in settings.split(","))
        grids |= {"methods": {method: {key: float(value) for key, value in pairs}}, "trials": [], "seeds": [int(seed)]}
        if epsilon != "inf":
            grids["epsilons"] = [float(epsilon)]
    unlike = {"seeds": [max(grids["seeds"]) + 1]}  # a study has other seeds than its tuning
    narrowed = _cell(study, dataset, method, epsilons=grids["epsilons"])
    return _as_text(narrowed | unlike | {"sweeps": {sweep: grids}})


def _cell(study: Study, dataset: str, method: str, *, epsilons: Collection[float] | None = None) -> dict[str, Any]:
    """One method on one data set, with what is said of it at these epsilons, or at all."""
    protocol = study.dataset(dataset)
    by_epsilon = {
        epsilon: {method: overrides[method]}
        for epsilon, overrides in protocol.overrides_by_epsilon.items()
        if method in overrides and (epsilons is None or epsilon in epsilons)
    }
    unconcerned: dict[str, Any] = {
        "title": dataset,
        "methods": None,
        "tuned": False,
        "overrides": {},
        "overrides_by_epsilon": by_epsilon,
        "epsilons": list(by_epsilon) or None,
        "seeds": None,
        "more_seeds": {},
        "share_process": False,
    }
    known: dict[str, Any] = {}
    if (which := study.implementation(method)) != method:
        known["file" if study.methods[method].file else "method"] = which
    known |= {key: said for key in OF_METHOD if (said := getattr(study.methods[method], key))}
    return {
        "seeds": [0],
        "epsilons": [1],
        "methods": {method: known | study.said(dataset, method, math.inf)},
        "datasets": {dataset: protocol.model_dump(mode="json") | unconcerned},
    }


def _dataset(study: Study, dataset: str, methods: Sequence[str]) -> dict[str, Any]:
    """These methods on one data set."""
    cells = [_cell(study, dataset, method) for method in methods]
    settings = {method: values for cell in cells for method, values in cell["methods"].items()}
    by_epsilon: dict[float, dict[str, Any]] = {}
    for cell in cells:
        for epsilon, overrides in cell["datasets"][dataset]["overrides_by_epsilon"].items():
            by_epsilon.setdefault(epsilon, {}).update(overrides)
    cells[0]["datasets"][dataset] |= {"overrides_by_epsilon": by_epsilon, "epsilons": list(by_epsilon) or None}
    return cells[0] | {"methods": settings}


def _as_text(narrowed: dict[str, Any]) -> str:
    return json.dumps(narrowed, sort_keys=True)
