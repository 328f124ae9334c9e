"""The battery of optimisers passes those that see what was released alone, and fails every bad rule."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import bad_rules
import pytest
import torch
from bad_rules import BAD

from psasc_bench import methods, optimisers
from psasc_bench.code import PACKAGE
from psasc_bench.evidence.battery import check_optimiser
from psasc_bench.evidence.gate import require_sound_optimiser
from psasc_bench.evidence.worst_cases import vectors
from psasc_bench.optimisers import Chain, Rules, UpdateRule
from psasc_bench.training import step
from psasc_bench.training.step import GradientSum, Objective

SOUND: list[Rules] = [
    [{"heavy-ball": {"momentum": 0.9}}],
    [{"heavy-ball": {"momentum": 0.0}}],
    *([{name: {}}] for name in optimisers.names() if name != "heavy-ball"),
    [{"low-pass": {}}, {"heavy-ball": {"momentum": 0.5}}, {"warm-up": {}}, {"cosine": {}}, {"average": {"decay": 0.9}}],
]


def failures(chain: Chain, *names: str) -> list[str]:
    """The checks that it fails by their figure: none may fail for an error."""
    found = check_optimiser(chain, names=names)
    assert not any(math.isnan(check.figure) for check in found), [check.detail for check in found]
    return [check.name for check in found if not check.passed]


@pytest.mark.parametrize("rules", SOUND, ids=str)
def test_sound_optimiser_passes(rules: Rules) -> None:
    assert failures(optimisers.create(rules)) == []


@pytest.fixture
def leaky_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves the gradients of its last step in a global and in the model."""

    def leaving(objective: Objective, *given: Any, **how: Any) -> GradientSum:
        found = real(objective, *given, **how)
        bad_rules.LEFT_BEHIND["total"] = found.total
        for parameter in objective.model.parameters():
            parameter.grad = parameter.detach() * 0 + found.total.sum()
        return found

    real = Objective.gradient_sum
    monkeypatch.setattr(step.Objective, "gradient_sum", leaving)
    monkeypatch.setattr(bad_rules, "LEFT_BEHIND", {})


@pytest.mark.usefixtures("leaky_engine")
@pytest.mark.parametrize(("rule", "check"), BAD, ids=[rule.__name__ for rule, _ in BAD])
def test_bad_rule_fails(rule: type[UpdateRule], check: str) -> None:
    assert failures(Chain({"bad": rule()}), check)


@pytest.mark.usefixtures("leaky_engine")
def test_bad_rule_fails_behind_a_sound_one() -> None:
    sound = optimisers.create([{"adam": {}}]).rules
    assert failures(Chain({**sound, "bad": bad_rules.FindsTheNorms()}), "post-processing")


def test_rule_that_raises_fails_with_its_error() -> None:
    (check,) = check_optimiser(Chain({"bad": bad_rules.Raises()}), names=["finite steps"])
    assert (check.passed, check.detail) == (False, "RuntimeError: no step today")


def test_rule_that_gives_no_pair_is_told_so() -> None:
    for check in check_optimiser(Chain({"bad": bad_rules.NoPair()})):
        assert not check.passed
        assert check.detail == "bad: update must return (direction, state), a tensor and a dict, returns Tensor"


def test_rule_that_ends_the_process_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisers, "create", lambda _: Chain({"bad": bad_rules.Exits()}))
    with pytest.raises(ValueError, match=r"not trained: post-processing, no memory, .*: SystemExit: no step; `psasc"):
        require_sound_optimiser([{"adam": {}}], tmp_path)


def test_engine_leaves_no_gradient_in_the_model() -> None:
    """So that a rule that would read it finds nothing there."""
    objective = vectors(torch.ones(3, 4))
    objective.gradient_sum(methods.create("dp-sgd", {"C": 1.0}), torch.arange(3), micro_batch_size=2)
    assert all(parameter.grad is None for parameter in objective.model.parameters())


@pytest.mark.parametrize("rules", [[{"adam": {"epsilon": 0.0}}], [{"adam-bc": {"floor": 0.0}}]], ids=str)
def test_settings_that_divide_by_zero_are_not_trained_with(rules: Rules, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^adam.* fails the battery and is not trained: finite steps is \d+, must be <= 0"
    ):
        require_sound_optimiser(rules, tmp_path)
    assert not list(tmp_path.iterdir())


def test_optimiser_that_has_passed_is_noted_with_its_settings(tmp_path: Path) -> None:
    for _ in range(2):
        require_sound_optimiser([{"adam": {"epsilon": 1e-3}}], tmp_path)
    (note,) = tmp_path.iterdir()
    assert json.loads(note.read_text())["optimiser"] == "adam (beta1 = 0.9, beta2 = 0.999, epsilon = 0.001)"


PEEK = """
import sys
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Peek(UpdateRule):
    title = "peek"

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        frame = sys._getframe()
        while frame and "gradient_sum" not in frame.f_locals:
            frame = frame.f_back
        return frame.f_locals["gradient_sum"].total if frame else gradient, state
"""
STUDY = """
methods: {dp-sgd: {}, peeking: {method: dp-sgd, optimiser: [peek, heavy-ball]}}
datasets: {digits: {epochs: 1, accountant: rdp}}
"""


def test_run_whose_rule_reads_gradients_is_not_trained(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")))
    (copy / "optimisers" / "peek.py").write_text(PEEK, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    told = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "psasc_bench", "train", "--config", "study.yaml", "--dataset", "digits"]
    command += ["--method", "peeking", "--epsilon", "3", "--seed", "0", "--runs", "runs", "--checks", "checks"]
    ran = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    line = ran.stderr.strip().rpartition("\n")[2]
    assert "peek then heavy-ball (momentum = 0.9) fails the battery and is not trained: post-processing is" in line
    assert not (tmp_path / "runs").exists()
