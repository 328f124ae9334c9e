"""Resuming: a run that is killed and started again ends bit for bit as an unbroken one, or starts over."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from psasc_bench.data.dataset import Dataset
from psasc_bench.files import exclusive
from psasc_bench.privacy import sampling
from psasc_bench.privacy.accounting import Budget
from psasc_bench.records import record, spool
from psasc_bench.records.record import Record
from psasc_bench.study.spec import RunSpec
from psasc_bench.training import runner
from psasc_bench.training.checkpoint import Checkpoint
from psasc_bench.training.loop import Outcome, train

MakeSpec = Callable[..., RunSpec]
Run = Callable[..., Outcome]
INNER = {"method": "dp-psasc-inner", "parameters": {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 3, "decay": 0.5}}


class Killed(BaseException):
    """What the process does not live to see."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "run.checkpoint", {"spec": "one", "noise": 1.5}, seconds=0)


@pytest.fixture
def run(digits: Dataset) -> Run:
    def run(spec: RunSpec, checkpoint: Checkpoint | None = None, *, kill_at: int | None = None) -> Outcome:
        def progress(step: int, _steps: int) -> None:
            if step == kill_at:
                raise Killed

        examples = len(digits.y_train)
        budget = Budget(
            epsilon=spec.epsilon,
            delta=spec.delta,
            sampling_rate=spec.sampling_rate(examples),
            steps=spec.epoch_ends(examples)[-1],
            noise_multiplier=1.0,
            epsilon_rdp=spec.epsilon,
            epsilon_pld=spec.epsilon,
        )
        how: dict[str, Any] = {"micro_batch_size": 320, "device": torch.device("cpu")}
        return train(spec, digits, budget, **how, progress=progress, checkpoint=checkpoint)

    return run


def same(one: Outcome, other: Outcome) -> bool:
    fields = ("status", "reason", "curve", "steps_taken", "nonfinite_examples")
    return torch.equal(one.parameters, other.parameters) and all(
        getattr(one, field) == getattr(other, field) for field in fields
    )


# --------------------------------------------------------------------------------------------------------- bit for bit


@pytest.mark.parametrize("settings", [{}, INNER], ids=["dp-psasc", "inner momentum"])
def test_run_killed_after_any_step_ends_as_an_unbroken_one(
    settings: dict[str, Any], digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    spec = digits_spec(epochs=2, **settings)
    unbroken = run(spec)
    for step in range(1, unbroken.steps_taken):
        with pytest.raises(Killed):
            run(spec, checkpoint, kill_at=step)
        assert same(resumed := run(spec, checkpoint), unbroken)
        assert resumed.resumed_at == [step]
        checkpoint.discard()


def test_run_killed_again_and_again_ends_as_an_unbroken_one(
    digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    spec = digits_spec(epochs=2)
    for step in (1, 4, 5, 9):
        with pytest.raises(Killed):
            run(spec, checkpoint, kill_at=step)
    assert same(resumed := run(spec, checkpoint), run(spec))
    assert resumed.resumed_at == [1, 4, 5, 9]


def test_noise_drawn_anew_would_be_noticed(digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint) -> None:
    """A planted bug: the noise's generator is not restored, so that noise already released is used again."""
    spec = digits_spec(epochs=2)
    with pytest.raises(Killed):
        run(spec, checkpoint, kill_at=4)
    numbers, tensors = checkpoint.load() or ({}, {})
    tensors["noise"] = torch.Generator().manual_seed(spec.stream("noise")).get_state()
    checkpoint.save(numbers, tensors)
    assert not same(run(spec, checkpoint), run(spec))


def test_seconds_add_up_over_the_parts_of_a_run(digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint) -> None:
    spec = digits_spec(epochs=2)
    with pytest.raises(Killed):
        run(spec, checkpoint, kill_at=8)
    numbers, _ = checkpoint.load() or ({}, {})
    resumed = run(spec, checkpoint)
    assert resumed.seconds["total"] > numbers["seconds"]["total"] > 0


# ------------------------------------------------------------------------------------------------ what is not continued


def test_state_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    numbers = {"step": 3, "curve": [{"loss": 0.1 + 0.2, "worst": math.inf}]}
    tensors = {"weights": torch.randn(5, dtype=torch.float64), "generator": torch.Generator().get_state()}
    checkpoint.save(numbers, tensors)
    loaded = checkpoint.load()
    assert loaded is not None
    assert loaded[0] == numbers
    assert all(torch.equal(loaded[1][name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("identity", [{"spec": "two", "noise": 1.5}, {"spec": "one"}, {"spec": "one", "noise": 1.4}])
def test_checkpoint_of_another_run_is_refused(
    identity: dict[str, Any], checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save({"step": 3}, {})
    assert Checkpoint(checkpoint.path, identity).load() is None
    assert "of another run" in capsys.readouterr().err


@given(st.data())
def test_damaged_checkpoint_is_reported_and_never_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    checkpoint = Checkpoint(tmp_path_factory.mktemp("damaged") / "run.checkpoint", {"spec": "one"})
    numbers, tensors = {"step": 3}, {"weights": torch.arange(50.0)}
    checkpoint.save(numbers, tensors)
    content = bytearray(checkpoint.path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    checkpoint.path.write_bytes(content)
    loaded = checkpoint.load()
    if loaded is not None:  # the damage was in what a reader of the format passes over, such as a time
        assert loaded[0] == numbers
        assert torch.equal(loaded[1]["weights"], tensors["weights"])


def test_pickle_in_a_checkpoint_is_not_loaded(checkpoint: Checkpoint, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    np.savez(checkpoint.path.with_suffix(".npz"), header=np.array([Payload()], dtype=object))
    checkpoint.path.with_suffix(".npz").replace(checkpoint.path)
    assert checkpoint.load() is None
    checkpoint.path.write_bytes(pickle.dumps(Payload()))
    assert checkpoint.load() is None
    assert not (tmp_path / "executed").exists()


def test_compressed_checkpoint_is_refused(checkpoint: Checkpoint) -> None:
    with zipfile.ZipFile(checkpoint.path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", bytes(10**7))
    assert checkpoint.load() is None


def test_checkpoint_that_cannot_be_written_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    Checkpoint(tmp_path / "file" / "run.checkpoint", {}).save({"step": 1}, {})
    assert "no checkpoint written" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- processes that are shot


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
    return record.read(stem.with_name("seed-0.json")), stem.with_name("seed-0.csv").read_bytes()


def start(folder: Path, spec: RunSpec, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(folder, spec, *more), cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and what it said on standard error."""
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
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


def test_status_of_a_run_that_fails_is_recorded_and_it_is_tried_again(
    digits: Dataset, digits_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = digits_spec(epsilon=math.inf, epochs=2)
    budget = Budget(
        epsilon=math.inf,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(1437),
        steps=spec.epoch_ends(1437)[-1],
        noise_multiplier=0.0,
        epsilon_rdp=math.inf,
        epsilon_pld=math.inf,
    )
    folders = {"runs": tmp_path / "runs"}
    how: dict[str, Any] = {"micro_batch_size": 320, "device": torch.device("cpu"), **folders}

    def fails(*arguments: Any) -> torch.Tensor:
        batches.append(poisson_batch(*arguments))
        if len(batches) == 8:
            raise RuntimeError("out of examples")
        return batches[-1]

    batches: list[torch.Tensor] = []
    poisson_batch = sampling.poisson_batch
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "poisson_batch", fails)
        failed = runner.train_run(spec, digits, budget, **how)
    assert failed.status == "failed"
    assert failed.reason == "RuntimeError after step 7: out of examples"
    assert failed.result == {"test_accuracy": None, "test_loss": None}
    assert failed.ledger["steps_taken"] == 7
    path = tmp_path / "runs" / f"{spec.name()}.json"
    assert record.read(path) == failed
    assert path.with_suffix(".csv").read_text().count("\n") == 2  # the epoch that it finished
    assert runner.train_run(spec, digits, budget, **how).status == "done"
