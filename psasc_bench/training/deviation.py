"""Measuring deviations while a run goes on: a method's own on a fixed set of training examples, or those of all methods
along one run, on all of them. **Not private**, see ``diagnostics``.

A probe has its own model, and its own stream to choose examples by: with or without one, a run gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from psasc_bench import data, methods, models
from psasc_bench.data import Dataset
from psasc_bench.methods import Method
from psasc_bench.privacy import Budget, noise_scale
from psasc_bench.study import RunSpec
from psasc_bench.training.diagnostics import deviations
from psasc_bench.training.loop import Examples, Probe, cross_entropies, train
from psasc_bench.training.step import Objective

EXAMPLES = 256


def probe_set(spec: RunSpec, dataset: Dataset, *, device: torch.device) -> tuple[Objective, Tensor]:
    """The losses of ``EXAMPLES`` training examples (or of all, if there are fewer), and their indices ``[n]`` there.
    All runs of one data set and seed have the same."""
    examples = len(dataset.y_train)
    random = np.random.default_rng(spec.stream("probe"))
    chosen = np.sort(random.choice(examples, min(EXAMPLES, examples), replace=False))
    some = replace(dataset, x_train=dataset.x_train[chosen], y_train=dataset.y_train[chosen])
    return _on_all(spec, some, device, whole=dataset)


def _on_all(spec: RunSpec, dataset: Dataset, device: torch.device, *, whole: Dataset) -> tuple[Objective, Tensor]:
    """The losses of all training examples, under a model of its own, built for the ``whole`` data set, and their
    indices."""
    model = models.create(spec.model, whole, seed=0).to(device)
    examples = Examples(dataset, "train", device)
    return Objective(model, cross_entropies(model, examples)), torch.arange(len(examples), device=device)


def own_deviation(
    spec: RunSpec, dataset: Dataset, *, every_epochs: int, micro_batch_size: int, device: torch.device
) -> Probe:
    """For the run of ``spec``: its own method's deviation at every ``every_epochs``-th epoch."""
    objective, batch = probe_set(spec, dataset, device=device)
    micro_batch_size = min(micro_batch_size, len(dataset.y_train))

    def probe(epoch: int, method: Method, iterates: Sequence[Tensor]) -> dict[str, float]:
        if epoch % every_epochs:
            return {}
        (found,) = deviations(objective, [method], batch, iterates=iterates, micro_batch_size=micro_batch_size)
        return {"nonprivate_cosine": found.cosine, "nonprivate_relative_error": found.relative_error}

    return probe


def along_one_trajectory(
    spec: RunSpec,
    compared: Mapping[str, Method],
    dataset: Dataset,
    budget: Budget,
    *,
    micro_batch_size: int,
    device: torch.device,
    measurements: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Train ``spec`` and give the deviation of every method in ``compared``, by name, over all training examples at the
    end of ``measurements`` epochs: the first, the last, and between them at equal distances, or all if there are
    fewer. At the same parameters, methods differ in nothing but their weights and the noise that these need.

    Raises ``ValueError`` if the run diverges, or for a method that averages over more iterates than such a run keeps
    (its own method's and the one that they led to), or whose sensitivity no noise is enough for.
    """
    kept = int(methods.create(spec.method, dict(spec.parameters)).iterates) + 1
    for name, method in compared.items():
        noise_scale(sensitivity=method.sensitivity(), noise_multiplier=budget.noise_multiplier)  # or refuse
        if method.iterates > kept:
            raise ValueError(
                f"{name} averages over {method.iterates:g} iterates, but a run of {spec.method} keeps only {kept}; "
                f"give --trajectory {name}"
            )
    seen = data.as_seen(dataset, spec.evaluation)
    objective, batch = _on_all(spec, seen, device, whole=seen)
    measured = _evenly_spaced(len(spec.epoch_ends(len(batch))), measurements)
    run = {"dataset": spec.dataset, "epsilon": spec.epsilon, "trajectory": spec.method}
    rows: list[dict[str, Any]] = []

    def probe(epoch: int, _: Method, iterates: Sequence[Tensor]) -> dict[str, float]:
        if epoch not in measured:
            return {}
        found = deviations(
            objective,
            list(compared.values()),
            batch,
            iterates=iterates,
            micro_batch_size=min(micro_batch_size, len(batch)),
            sampling_rate=spec.sampling_rate(len(batch)),
            noise_multiplier=budget.noise_multiplier,
        )
        for (name, method), one in zip(compared.items(), found, strict=True):
            labels = {"method": name, "method_title": method.title, "seed": spec.seed, "epoch": epoch}
            rows.append({**run, **labels, **asdict(one)})
        return {}

    outcome = train(
        spec, dataset, budget, micro_batch_size=micro_batch_size, device=device, progress=progress, probe=probe
    )
    if outcome.status != "done":
        raise ValueError(f"{spec.name()}: the trajectory {outcome.status}: {outcome.reason}; lower its learning rate")
    return rows


def _evenly_spaced(epochs: int, count: int) -> set[int]:
    return {round(epoch) for epoch in np.linspace(1, epochs, count)}
