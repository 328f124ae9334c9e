"""A run that is stopped, and code that is edited before it goes on: it starts over, and says why."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from small_runs import MakeSpec
from test_killed_processes import command, end, until

from psasc_bench import records
from psasc_bench.code import PACKAGE
from psasc_bench.study import RunSpec


@pytest.fixture
def long(digits_spec: MakeSpec) -> RunSpec:
    return digits_spec(method="nonprivate", parameters={}, epsilon=math.inf, epochs=30, learning_rate=0.1)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, which the processes run that are started beside it."""
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")))


def start(copy: Path, spec: RunSpec) -> subprocess.Popen[str]:
    folder = copy.parent
    told = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = command(folder, spec, "--runs", "results/runs")
    return subprocess.Popen(asked, cwd=folder, env=told, stderr=subprocess.PIPE, text=True)


def stop_after_a_checkpoint(copy: Path, spec: RunSpec) -> None:
    process = start(copy, spec)
    until((copy.parent / "results" / "spool" / f"{spec.name()}.checkpoint").exists)
    process.send_signal(signal.SIGKILL)
    end(process)
    assert not (copy.parent / "results" / "runs").exists(), "the run was over before it was killed"


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "unlike"),
    [
        ("models/networks.py", "Linear(128, 32), nn.Tanh()", "Linear(128, 32), nn.ReLU()", "code, fingerprint"),
        ("training/loop.py", "EVALUATION_BATCH = 1000", "EVALUATION_BATCH = 500", "code"),
    ],
)
def test_it_starts_over_after_an_edit(file: str, old: str, new: str, unlike: str, copy: Path, long: RunSpec) -> None:
    stop_after_a_checkpoint(copy, long)
    edit(copy / file, old, new)
    status, said = end(start(copy, long))
    assert status == 0, said
    assert f"of another run ({unlike} differ); the run starts over" in said
    made = records.read(copy.parent / "results" / "runs" / f"{long.name()}.json")
    assert made.provenance["resumed_at_steps"] == []


def test_it_goes_on_after_an_edit_of_words(copy: Path, long: RunSpec) -> None:
    stop_after_a_checkpoint(copy, long)
    edit(copy / "models" / "networks.py", '"""8x8 grey images', '# why\n    """Images, grey, of 8x8 pixels')
    assert end(start(copy, long)) == (0, "")
    made = records.read(copy.parent / "results" / "runs" / f"{long.name()}.json")
    assert len(made.provenance["resumed_at_steps"]) == 1
