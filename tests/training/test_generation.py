"""A guard of ``GENERATION``: what engine, step, mechanism, sampling and loop make of short runs, by pinned numbers.

Of four steps are pinned how far they led, as an L2 norm over all parameters, and the mean loss on other examples. Both
are smooth in all that enters, so that rounding, which differs from one CPU, thread count or micro-batch size to another
by some 1e-7 of a sum, hardly moves them: by 2e-6 at most where torch was told to do without vector instructions. An
accuracy would jump by a whole example. The tolerance is fifty times that, and a fifth of what the smallest change below
does: one that alters the last bits alone is not seen here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from model_shapes import SHAPES
from small_runs import CPU, budget_for

from psasc_bench import models
from psasc_bench.data import Dataset, Evaluation, as_seen
from psasc_bench.engine import flatten
from psasc_bench.privacy import poisson_batch, privatise
from psasc_bench.study import RunSpec
from psasc_bench.training import averaging, loop, step

TOLERANCE = 1e-4  # relative
SETTINGS: dict[str, dict[str, float]] = {
    "auto-s": {"C": 0.5},
    "dp-psac": {"C": 0.5, "r": 0.1},
    "dp-psasc": {"C": 0.5, "s": 2.0, "r": 0.1},
    "dp-psasc-inner": {"C": 0.5, "s": 2.0, "r": 0.1},
    "dp-sgd": {"C": 0.5},
    "noise-only": {"C": 0.5},
    "nonprivate": {},
    "nsgd": {"C": 0.5, "r": 0.1},
}
THREE_ITERATES = {"C": 0.5, "s": 2.0, "r": 0.1, "iterates": 3, "decay": 0.5}
Run = tuple[str, str, dict[str, float], Evaluation]
RUNS: dict[str, Run] = {
    **{name: ("digits_cnn", name, settings, "test") for name, settings in SETTINGS.items()},
    **{name: (name, "dp-sgd", SETTINGS["dp-sgd"], "test") for name in SHAPES},
    "three iterates": ("digits_cnn", "dp-psasc", THREE_ITERATES, "test"),
    "held out": ("digits_cnn", "dp-sgd", SETTINGS["dp-sgd"], "validation"),
}
# By run: how far the parameters moved, in L2 norm, and the loss at the end.
PINNED: dict[str, tuple[float, float]] = {
    "auto-s": (11.749938, 3.743478),
    "dp-psac": (11.698994, 3.613814),
    "dp-psasc": (6.068407, 2.702688),
    "dp-psasc-inner": (6.079205, 2.705508),
    "dp-sgd": (11.762141, 3.758696),
    "noise-only": (9.897368, 2.515153),
    "nonprivate": (3.386306, 2.661494),
    "nsgd": (11.641130, 3.602054),
    "digits_cnn": (11.762141, 3.758696),
    "mnist_cnn": (17.702454, 5.710715),
    "cifar_cnn": (22.664371, 4.650458),
    "scatter_linear": (40.221947, 18.234720),
    "three iterates": (6.137438, 2.712201),
    "held out": (13.529509, 2.916939),
}
MESSAGE = (
    "training makes something else of this run. If its method or network was edited, pin {found}. If training was, and "
    "was meant to, raise GENERATION in psasc_bench/records/record.py as well, so that all records are made anew"
)


def examples(model: str) -> int:
    return 16 if model == "cifar_cnn" else 48  # a pass of it takes fifty times as long


def images(model: str) -> Dataset:
    """Random images of the model's shape; the stream of ``RandomState`` is the same in every numpy."""
    random, counts = np.random.RandomState(0), {"train": examples(model), "test": 16}
    parts = {part: random.standard_normal((count, *SHAPES[model])) for part, count in counts.items()}
    labels = {part: random.randint(0, 10, len(x)).astype(np.int64) for part, x in parts.items()}
    channels = SHAPES[model][0]
    return Dataset(
        x_train=parts["train"].astype(np.float32),
        y_train=labels["train"],
        x_test=parts["test"].astype(np.float32),
        y_test=labels["test"],
        offset=np.zeros(channels, np.float32),
        scale=np.ones(channels, np.float32),
        sha256="",
    )


def measured(name: str, *, micro_batch_size: int = 8) -> tuple[float, float]:
    """How far the parameters moved in a run, in L2 norm, and the loss that it ended with."""
    model, method, parameters, evaluation = RUNS[name]
    spec = RunSpec(
        dataset="images",
        expected_batch_size=examples(model) // 2 if evaluation == "test" else 20,
        epochs=2,
        model=model,
        method=method,
        parameters=parameters,
        epsilon=math.inf if method == "nonprivate" else 3.0,
        delta=1e-5,
        learning_rate=1.0 if "nonprivate" in name or "cifar" in name else 10.0,
        momentum=0.9,
        seed=0,
        evaluation=evaluation,
    )
    dataset = images(model)
    budget = budget_for(spec, as_seen(dataset, evaluation), noise_multiplier=0.1)
    outcome = loop.train(spec, dataset, budget, micro_batch_size=micro_batch_size, device=CPU)
    assert outcome.status == "done", outcome.reason
    initial = flatten(models.create(model, seed=spec.stream("initialisation")))
    return float((outcome.parameters - initial).norm()), outcome.curve[-1][f"{evaluation}_loss"]


def moved(found: tuple[float, float], pinned: tuple[float, float]) -> float:
    return max(abs(one - other) / other for one, other in zip(found, pinned, strict=True))


@pytest.mark.parametrize("name", RUNS)
def test_training_makes_of_a_run_what_it_did(name: str) -> None:
    found = measured(name)
    assert moved(found, PINNED[name]) < TOLERANCE, MESSAGE.format(found=found)


def test_the_size_of_micro_batches_moves_no_pin() -> None:
    assert moved(measured("three iterates", micro_batch_size=64), PINNED["three iterates"]) < TOLERANCE / 10


def one_example_fewer(examples: int, rate: float, generator: torch.Generator) -> torch.Tensor:
    return poisson_batch(examples, rate, generator)[1:]


def more_noise(*arguments: Any, sensitivity: float, **others: Any) -> torch.Tensor:
    return privatise(*arguments, sensitivity=1.01 * sensitivity, **others)


def as_if_older(count: int, decay: float) -> list[float]:
    return averaging(count, 1.05 * decay)


PLANTED: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "an example is left out": (loop, "poisson_batch", one_example_fewer, "dp-sgd"),
    "a hundredth more noise": (step, "privatise", more_noise, "dp-sgd"),
    "iterates weigh otherwise": (step, "averaging", as_if_older, "three iterates"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_change_moves_the_pins(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, planted, run = PLANTED[case]
    monkeypatch.setattr(module, attribute, planted)
    assert moved(measured(run), PINNED[run]) > 3 * TOLERANCE
