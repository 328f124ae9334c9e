"""Commands as they are called, and the small study that they are called on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from psasc_bench import cli

Refused = Callable[..., list[str]]


DIGITS: dict[str, Any] = {
    "source": "digits",
    "title": "Digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "micro_batch_size": 320,
    "epochs": 1,
    "delta": 1e-4,
    "learning_rate": 0.5,
    "momentum": 0.9,
}
STUDY: dict[str, Any] = {
    "seeds": [0],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "nonprivate": {}},
    "datasets": {"digits": DIGITS},
}


def write_study(path: Path, /, **digits: Any) -> Path:
    values = copy.deepcopy(STUDY)
    values["datasets"]["digits"] |= digits
    path.write_text(yaml.safe_dump(values))
    return path


def train(study: Path, *options: str | Path, method: str = "dp-sgd", epsilon: Any = 8) -> list[str | Path]:
    cell = ["--dataset", "digits", "--method", method, "--epsilon", str(epsilon)]
    return ["train", "--config", study, *cell, *options]


def budgets(prepared: Path | str, *outputs: str, **schedule: Any) -> list[str | Path]:
    options = {"model": "digits_cnn", "delta": 1e-4, "expected-batch-size": 256, "epochs": 1} | schedule
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["budgets", "--dataset", "digits", "--data", prepared, *given, *outputs]


def prepare(*options: str | Path, source: str = "npz") -> list[str | Path]:
    return ["prepare", "--source", source, "--output", "prepared.npz", *options]


def trained(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out
