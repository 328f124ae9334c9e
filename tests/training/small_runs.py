"""What short runs on the digits are made of: methods, budgets, data sets cut short, and models as they begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from psasc_bench import methods, models
from psasc_bench.data import Dataset
from psasc_bench.privacy import Budget
from psasc_bench.study import RunSpec
from psasc_bench.training.loop import Outcome

MakeSpec = Callable[..., RunSpec]
Train = Callable[..., tuple[Outcome, list[Tensor]]]
CPU = torch.device("cpu")
CLIP = methods.create("dp-sgd", {"C": 1.0})
PLAIN = methods.create("nonprivate", {})
PSASC = methods.create("dp-psasc", {"C": 0.2, "s": 2.0, "r": 0.1})


def budget_for(spec: RunSpec, dataset: Dataset, *, noise_multiplier: float = 1.0) -> Budget:
    """A budget of any noise: what it costs is the accountant's business, and tested there."""
    examples = len(dataset.y_train)
    return Budget(
        epsilon=spec.epsilon,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(examples),
        steps=spec.epoch_ends(examples)[-1],
        noise_multiplier=0.0 if math.isinf(spec.epsilon) else noise_multiplier,
        epsilon_rdp=spec.epsilon,
        epsilon_pld=spec.epsilon,
    )


def first(dataset: Dataset, examples: int) -> Dataset:
    """The data set with its first training examples only."""
    return replace(dataset, x_train=dataset.x_train[:examples], y_train=dataset.y_train[:examples])


def pixels(dataset: Dataset, indices: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy((dataset.x_train.astype(np.float32) - dataset.offset) / dataset.scale)
    return images[indices], torch.from_numpy(dataset.y_train)[indices]


def initial(spec: RunSpec) -> nn.Module:
    return models.create(spec.model, seed=spec.stream("initialisation"))


def vector(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def generator(spec: RunSpec, axis: str) -> torch.Generator:
    return torch.Generator().manual_seed(spec.stream(axis))


@contextmanager
def rows_in_training() -> Iterator[set[int]]:
    """How many rows, padding included, layers are given meanwhile, evaluations aside."""
    rows: set[int] = set()

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if layer.training:
            rows.add(len(inputs[0]))

    with register_module_forward_pre_hook(note):
        yield rows
