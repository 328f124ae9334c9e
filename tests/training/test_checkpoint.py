"""Resuming from a checkpoint: a run goes on bit for bit as an unbroken one, or starts over."""

from __future__ import annotations

import math
import pickle
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, MakeSpec, budget_for

from psasc_bench.data import Dataset
from psasc_bench.signals import Asked, Interrupted
from psasc_bench.study import RunSpec
from psasc_bench.training import train
from psasc_bench.training.checkpoint import Checkpoint
from psasc_bench.training.loop import Outcome

Run = Callable[..., Outcome]
QUANTILE = {"method": "quantile", "parameters": {"C": 0.2}}
AUGMENTED = {"augmentations": 2, "augment": ("shift", "flip")}
INNER = {"method": "dp-psasc-inner", "parameters": {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 3, "decay": 0.5}}

CHAIN = (
    {"low-pass": {"decay": 0.8, "previous": 1.0}},
    {"nadam": {}},
    {"warm-up": {"share": 0.3}},
    {"cosine": {}},
    {"average": {"decay": 0.9}},
)


class Killed(BaseException):
    """What the process does not live to see."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "run.checkpoint", {"spec": "one", "noise": 1.5}, seconds=0)


@pytest.fixture
def run(digits: Dataset) -> Run:
    def run(
        spec: RunSpec, checkpoint: Checkpoint | None = None, *, kill_at: int | None = None, asked: Asked = lambda: None
    ) -> Outcome:
        def progress(step: int, _steps: int) -> None:
            if step == kill_at:
                raise Killed

        how: dict[str, Any] = {"micro_batch_size": 320, "device": CPU, "asked": asked}
        return train(spec, digits, budget_for(spec, digits), **how, progress=progress, checkpoint=checkpoint)

    return run


def same(one: Outcome, other: Outcome) -> bool:
    fields = ("status", "reason", "curve", "steps_taken", "nonfinite_examples", "predictions")
    return torch.equal(one.parameters, other.parameters) and all(
        getattr(one, field) == getattr(other, field) for field in fields
    )


# ------------------------------------------------------------------------------------------------ bit for bit


@pytest.mark.parametrize(
    "settings",
    [{}, INNER, QUANTILE, AUGMENTED, {"optimiser": CHAIN}, QUANTILE | AUGMENTED | {"optimiser": CHAIN}],
    ids=["dp-psasc", "inner momentum", "state", "augmentations", "chain of update rules", "all of these"],
)
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


def test_run_asked_to_end_keeps_the_step_that_it_has_taken(
    digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    spec, rare = digits_spec(epochs=2), Checkpoint(checkpoint.path, checkpoint.identity, seconds=3600)
    unbroken = run(spec)
    for step in range(1, unbroken.steps_taken):
        answers = iter([None] * (step - 1) + [signal.SIGTERM])
        with pytest.raises(Interrupted, match=rf"goes on from step {step}$"):
            run(spec, rare, asked=lambda answers=answers: next(answers))
        assert same(resumed := run(spec, rare), unbroken)
        assert resumed.resumed_at == [step]
        rare.discard()


def test_run_asked_to_end_in_its_last_step_ends_as_it_would_have(
    digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    spec = digits_spec()
    answers = iter([None] * (run(spec).steps_taken - 1))
    assert same(run(spec, checkpoint, asked=lambda: next(answers)), run(spec))


def test_run_that_keeps_nothing_promises_nothing(digits_spec: MakeSpec, run: Run, tmp_path: Path) -> None:
    """It has no checkpoint, or none that can be written."""
    (tmp_path / "file").touch()
    for checkpoint in (None, Checkpoint(tmp_path / "file" / "run.checkpoint", {})):
        with pytest.raises(Interrupted, match=r"finished runs are kept$"):
            run(digits_spec(), checkpoint, asked=lambda: signal.SIGTERM)


def test_run_killed_before_its_record_was_written_still_has_its_predictions(
    digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    spec = digits_spec()
    unbroken = run(spec)
    with pytest.raises(Killed):
        run(spec, checkpoint, kill_at=unbroken.steps_taken)
    assert same(run(spec, checkpoint), unbroken)
    assert unbroken.predictions is not None


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


def test_settings_that_did_not_come_back_would_be_noticed(
    digits_spec: MakeSpec, run: Run, checkpoint: Checkpoint
) -> None:
    """A planted bug: the run goes on with the settings that it began with."""
    spec = digits_spec(epochs=2, **QUANTILE)
    with pytest.raises(Killed):
        run(spec, checkpoint, kill_at=4)
    numbers, tensors = checkpoint.load() or ({}, {})
    checkpoint.save(numbers | {"method": {"C": 0.2}}, tensors)
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
