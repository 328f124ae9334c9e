"""Training processes that are killed, wait for each other or find the disk full: what is filed is whole."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import MakeSpec

from psasc_bench import records
from psasc_bench.files import exclusive
from psasc_bench.records import Record, spool
from psasc_bench.study import RunSpec

PATIENCE = 300  # seconds, on a busy machine


def command(folder: Path, spec: RunSpec, *more: str) -> list[str]:
    (folder / "study.json").write_text(
        json.dumps(
            {
                "seeds": [0],
                "epsilons": [1],
                "methods": {spec.method: dict(spec.parameters)},
                "datasets": {
                    "digits": {
                        "source": "digits",
                        "title": "Digits",
                        "micro_batch_size": 320,
                        **{key: getattr(spec, key) for key in ("model", "expected_batch_size", "epochs", "delta")},
                        **{key: getattr(spec, key) for key in ("learning_rate", "momentum")},
                    }
                },
            }
        )
    )
    arguments = ["train", "--config", "study.json", "--dataset", "digits", "--method", spec.method]
    arguments += ["--epsilon", "inf", "--checkpoint-seconds", "0", *more]
    return [sys.executable, "-m", "psasc_bench", *arguments]


@pytest.fixture
def long(digits_spec: MakeSpec) -> RunSpec:
    return digits_spec(method="nonprivate", parameters={}, epsilon=math.inf, epochs=30, learning_rate=0.1)


def metrics(folder: Path, spec: RunSpec) -> tuple[Record, bytes]:
    stem = folder / "results" / "runs" / spec.name()
    return records.read(stem.with_name("seed-0.json")), stem.with_name("seed-0.csv").read_bytes()


def start(folder: Path, spec: RunSpec, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(folder, spec, *more), cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and what it said on standard error."""
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_process_killed_outright_loses_no_step_that_was_saved(long: RunSpec, tmp_path: Path) -> None:
    whole, broken = (tmp_path / name for name in ("whole", "broken"))
    for folder in (whole, broken):
        folder.mkdir()
    assert end(start(whole, long)) == (0, "")

    kept = broken / "results" / "spool" / f"{long.name()}.checkpoint"
    process = start(broken, long)
    until(kept.exists)
    process.send_signal(signal.SIGKILL)
    end(process)
    assert not (broken / "results" / "runs").exists(), "the run was over before it was killed"
    assert end(start(broken, long)) == (0, "")

    (unbroken, curve), (resumed, resumed_curve) = metrics(whole, long), metrics(broken, long)
    assert (resumed.result, resumed_curve, resumed.ledger) == (unbroken.result, curve, unbroken.ledger)
    assert len(resumed.provenance["resumed_at_steps"]) == 1
    assert unbroken.provenance["resumed_at_steps"] == []
    assert not [path for path in (broken / "results" / "spool").rglob("*") if path.is_file()]


def test_second_process_waits_for_the_first_and_takes_its_run(long: RunSpec, tmp_path: Path) -> None:
    """The first process is this one: it has trained the run, but has not filed it when the second one comes."""
    assert end(start(tmp_path, long)) == (0, "")
    filed, elsewhere = tmp_path / "results" / "runs", tmp_path / "elsewhere"
    made = metrics(tmp_path, long)
    with exclusive(spool.lock_file(long, tmp_path / "results" / "spool"), lambda: None):
        filed.rename(elsewhere)
        second = start(tmp_path, long)
        assert second.stderr is not None
        assert "another process trains this run" in second.stderr.readline()
        elsewhere.rename(filed)
    assert end(second) == (0, "")
    assert metrics(tmp_path, long) == made


def small_files() -> None:
    """Every file larger than 2 kB fails to be written, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_full_disk_is_a_line_and_leaves_nothing_half_written(long: RunSpec, tmp_path: Path) -> None:
    assert end(start(tmp_path, dataclasses.replace(long, epochs=1))) == (0, "")  # prepares the data
    process = subprocess.run(
        command(tmp_path, long), cwd=tmp_path, preexec_fn=small_files, capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    *warnings, error = process.stderr.splitlines()
    assert all("no checkpoint written" in line for line in warnings)
    assert error.startswith("psasc-bench: error: ")
    assert "File too large" in error
    assert not list(tmp_path.rglob("*.partial"))
    assert metrics(tmp_path, long)[0].spec.epochs == 1  # what was there is there still
