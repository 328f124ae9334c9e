"""Filing runs: what is finished is left alone, what is not is trained, whatever interrupted it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, MakeSpec, budget_for

from psasc_bench import records
from psasc_bench.data import Dataset
from psasc_bench.privacy import calibrate
from psasc_bench.records import Record
from psasc_bench.study import RunSpec
from psasc_bench.training import loop, runner

FileRun = Callable[..., Record]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads may sum in another order: bits are compared below."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def spec(digits_spec: MakeSpec) -> RunSpec:
    """A run of six steps, at epsilon infinity because accountants take seconds to load."""
    return digits_spec(epsilon=math.inf)


@pytest.fixture
def file_run(spec: RunSpec, digits: Dataset, tmp_path: Path) -> FileRun:
    examples = len(digits.y_train)
    budget = calibrate(
        epsilon=math.inf,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(examples),
        steps=spec.epoch_ends(examples)[-1],
    )

    def run(spec: RunSpec = spec, dataset: Dataset = digits, **how: Any) -> Record:
        return runner.train_run(spec, dataset, budget, runs=tmp_path / "runs", micro_batch_size=320, device=CPU, **how)

    return run


@pytest.fixture
def made(file_run: FileRun) -> Record:
    return file_run()


@pytest.fixture
def path(made: Record, tmp_path: Path) -> Path:
    return tmp_path / "runs" / f"{made.spec.name()}.json"


def state(path: Path) -> list[tuple[bytes, int]]:
    return [(file.read_bytes(), file.stat().st_mtime_ns) for file in (path, path.with_suffix(".csv"))]


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def must_not_train(_step: int, _steps: int) -> None:
    raise AssertionError("a finished run is trained again")


def test_run_is_filed_with_its_curve(made: Record, path: Path) -> None:
    assert records.read(path) == made
    assert path.with_suffix(".csv").read_text().count("\n") == 1 + made.spec.epochs


def test_record_vouches_for_what_was_trained(made: Record, digits: Dataset) -> None:
    assert made.ledger["steps_taken"] == made.ledger["steps"] == made.spec.epoch_ends(len(digits.y_train))[-1]
    assert made.ledger["sensitivity"] == 0.1 / 2.0
    assert made.provenance["data_sha256"] == digits.sha256
    assert made.provenance["threads"] == 1


def test_predictions_have_the_accuracy_of_the_record(made: Record, path: Path, digits: Dataset) -> None:
    predicted = records.unpack_predictions(records.read(path))
    assert predicted is not None
    assert (predicted == digits.y_test).mean() == made.result["test_accuracy"]
    assert len(set(predicted)) > 1


def test_record_from_before_predictions_were_kept_is_current(made: Record, file_run: FileRun, path: Path) -> None:
    values = json.loads(path.read_text())
    del values["predictions"]
    path.write_text(json.dumps(values))
    assert file_run(progress=must_not_train) == dataclasses.replace(made, predictions=None)


def test_current_record_is_left_alone(file_run: FileRun, path: Path) -> None:
    before = state(path)
    file_run(progress=must_not_train)
    assert state(path) == before


def test_same_run_trained_twice_has_the_same_result(
    made: Record, file_run: FileRun, path: Path, tmp_path: Path
) -> None:
    curve = path.with_suffix(".csv").read_bytes()
    for file in (path, tmp_path / "spool" / f"{made.spec.name()}.json"):
        file.unlink()
    again = file_run()
    assert again.result == made.result
    assert again.predictions == made.predictions
    assert path.with_suffix(".csv").read_bytes() == curve
    assert again.seconds != made.seconds


@pytest.mark.parametrize("change", [{"fingerprint": "0" * 16}, {"generation": records.GENERATION - 1}], ids=str)
def test_stale_record_is_trained_anew(change: dict[str, Any], made: Record, file_run: FileRun, path: Path) -> None:
    for file in (path, Path(str(path).replace("/runs/", "/spool/"))):
        rewrite(file, **change)
    again = file_run()
    assert again.current(made.spec, made.fingerprint)
    assert records.read(path) == again


def test_changed_spec_is_trained_anew(made: Record, file_run: FileRun, path: Path) -> None:
    faster = dataclasses.replace(made.spec, learning_rate=1.0)
    assert file_run(faster).result != made.result
    assert records.read(path).spec == faster


def test_other_data_is_trained_anew(file_run: FileRun, path: Path, digits: Dataset) -> None:
    file_run(dataset=dataclasses.replace(digits, sha256="0" * 64))
    assert records.read(path).provenance["data_sha256"] == "0" * 64


def test_other_seed_leaves_the_first_alone(made: Record, file_run: FileRun, path: Path) -> None:
    before = state(path)
    other = file_run(dataclasses.replace(made.spec, seed=1))
    assert state(path) == before
    assert other.result != made.result


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"[]"], ids=["empty", "cut short", "something else"])
def test_damaged_record_is_replaced_with_a_warning(
    content: bytes, made: Record, file_run: FileRun, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(content)
    file_run()
    assert records.read(path).result == made.result
    assert f"psasc-bench: warning: {path}: not a run record" in capsys.readouterr().err


def test_record_without_its_curve_is_completed(made: Record, file_run: FileRun, path: Path) -> None:
    path.with_suffix(".csv").unlink()
    assert file_run(progress=must_not_train) == made
    assert path.with_suffix(".csv").exists()


# ------------------------------------------------------------------------------------------------ interruptions


def test_run_interrupted_while_it_trains_leaves_nothing(file_run: FileRun, tmp_path: Path) -> None:
    def interrupt(step: int, _steps: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file_run(progress=interrupt)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_run_interrupted_before_it_was_filed_is_fetched_from_the_spool(
    made: Record, file_run: FileRun, path: Path
) -> None:
    """A workflow engine may also have deleted what was filed, as output of an interrupted job."""
    path.unlink()
    path.with_suffix(".csv").unlink()
    assert file_run(progress=must_not_train) == made
    assert records.read(path) == made


def test_run_interrupted_between_curve_and_record_is_fetched_from_the_spool(
    made: Record, file_run: FileRun, path: Path
) -> None:
    path.unlink()
    assert file_run(progress=must_not_train) == made
    assert records.read(path) == made


def test_stale_record_gives_way_to_a_current_one_in_the_spool(made: Record, file_run: FileRun, path: Path) -> None:
    rewrite(path, fingerprint="0" * 16)
    assert file_run(progress=must_not_train) == made
    assert records.read(path) == made


def test_half_a_run_in_the_spool_is_not_taken_for_a_run(
    made: Record, file_run: FileRun, path: Path, tmp_path: Path
) -> None:
    path.unlink()
    (tmp_path / "spool" / f"{made.spec.name()}.csv").unlink()
    assert file_run().seconds != made.seconds
    assert path.exists()


def test_spool_is_empty_once_it_has_served(made: Record, file_run: FileRun, path: Path, tmp_path: Path) -> None:
    other = file_run(dataclasses.replace(made.spec, seed=1))
    runner.empty_spool([made.spec, other.spec], tmp_path / "runs")
    assert not [file for file in (tmp_path / "spool").rglob("*") if file.is_file()]
    assert path.exists()


# ------------------------------------------------------------------------------------------------ failures


LATE = """
from dataclasses import dataclass
import torch
from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule

@dataclass(frozen=True, kw_only=True)
class Late(UpdateRule):
    title = "late"

    def start(self, parameters: Tensor) -> State:
        return {"taken": torch.zeros(())}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        late = {"odd": torch.zeros(2, dtype=torch.bfloat16)} if LATE_STATE and moment.step > 4 else {}
        return gradient, {"taken": state["taken"] + 1, **late}

    def evaluated(self, parameters: Tensor, state: State) -> Tensor:
        if not LATE_STATE and state["taken"] > 4:
            raise ValueError("no average")
        return parameters
"""


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        (False, r"ValueError after step \d+: no average"),
        (True, r"TypeError after step \d+: Got unsupported ScalarType"),
    ],
)
def test_update_rule_that_goes_wrong_late_ends_its_run_as_failed(
    planted: bool, reason: str, digits: Dataset, digits_spec: MakeSpec, tmp_path: Path
) -> None:
    """In what is evaluated, or with a state that no checkpoint can have."""
    rule = tmp_path / "late.py"
    rule.write_text(LATE.replace("LATE_STATE", str(planted)), encoding="utf-8")
    spec = digits_spec(epochs=3, optimiser=({str(rule): {}},), momentum=0.0)
    how: dict[str, Any] = {"micro_batch_size": 320, "device": CPU, "checkpoint_seconds": 0.0}
    found = runner.train_run(spec, digits, budget_for(spec, digits), runs=tmp_path / "runs", **how)
    assert found.status == "failed"
    assert re.match(reason, str(found.reason))
    assert records.read(tmp_path / "runs" / f"{spec.name()}.json") == found


@pytest.mark.parametrize("fault", [RuntimeError, SystemExit])
def test_status_of_a_run_that_fails_is_recorded_and_it_is_tried_again(
    fault: type[BaseException],
    digits: Dataset,
    digits_spec: MakeSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = digits_spec(epsilon=math.inf, epochs=2)
    budget = budget_for(spec, digits)
    how: dict[str, Any] = {"micro_batch_size": 320, "device": CPU, "runs": tmp_path / "runs"}

    def fails(*arguments: Any) -> torch.Tensor:
        batches.append(poisson_batch(*arguments))
        if len(batches) == 8:
            raise fault("out of examples")
        return batches[-1]

    batches: list[torch.Tensor] = []
    poisson_batch = loop.poisson_batch
    with monkeypatch.context() as patch:
        patch.setattr(loop, "poisson_batch", fails)
        failed = runner.train_run(spec, digits, budget, **how)
    assert failed.status == "failed"
    assert failed.reason == f"{fault.__name__} after step 7: out of examples"
    assert failed.result == {"test_accuracy": None, "test_loss": None}
    assert failed.predictions is None
    assert failed.ledger["steps_taken"] == 7
    path = tmp_path / "runs" / f"{spec.name()}.json"
    assert records.read(path) == failed
    assert path.with_suffix(".csv").read_text().count("\n") == 2  # the epoch that it finished
    assert runner.train_run(spec, digits, budget, **how).status == "done"
