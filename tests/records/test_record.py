"""Records: read back as written, complete or absent, and refused when they are not what was written."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from psasc_bench import methods
from psasc_bench.privacy import Budget
from psasc_bench.records import Record, folder, record
from psasc_bench.study import RunSpec

ROOT = Path(__file__).parents[2]
CURVE = [
    {"epoch": 1, "step": 6, "test_accuracy": 0.5, "test_loss": 1.5},
    {"epoch": 2, "step": 11, "test_accuracy": 0.75, "test_loss": 1.0},
]
BUDGET = Budget(
    epsilon=3.0, delta=1e-5, sampling_rate=0.25, steps=11, noise_multiplier=1.5, epsilon_rdp=2.9, epsilon_pld=2.7
)


@pytest.fixture
def made(digits_spec: Callable[..., RunSpec]) -> Record:
    return Record(
        spec=digits_spec(),
        fingerprint=methods.fingerprint(methods.load("dp-psasc")),
        status="done",
        reason=None,
        result={"test_accuracy": 0.75, "test_loss": 1.0},
        ledger=record.ledger(BUDGET, sensitivity=0.05, steps_taken=11),
        nonprivate={"nonfinite_examples": 0},
        seconds={"total": 1.0},
        provenance=record.provenance(started=datetime.now(UTC), device="cpu"),
    )


@pytest.fixture
def path(made: Record, tmp_path: Path) -> Path:
    """The record's file, with the curve beside it."""
    record.write(made, CURVE, tmp_path / "seed-0")
    return tmp_path / "seed-0.json"


def test_record_comes_back_as_it_was(made: Record, path: Path) -> None:
    assert record.read(path) == made


def test_curve_stands_beside_the_record(path: Path) -> None:
    assert path.with_suffix(".csv").read_text() == ("epoch,step,test_accuracy,test_loss\n1,6,0.5,1.5\n2,11,0.75,1.0\n")


def test_run_without_privacy_comes_back_from_strict_json(made: Record, tmp_path: Path) -> None:
    budget = dataclasses.replace(
        BUDGET, epsilon=math.inf, noise_multiplier=0.0, epsilon_rdp=math.inf, epsilon_pld=math.inf
    )
    free = dataclasses.replace(
        made,
        spec=dataclasses.replace(made.spec, epsilon=math.inf),
        ledger=record.ledger(budget, sensitivity=math.inf, steps_taken=11),
    )
    record.write(free, CURVE, tmp_path / "free")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    values = json.loads((tmp_path / "free.json").read_text(), parse_constant=refuse)
    assert (values["spec"]["epsilon"], values["ledger"]["epsilon_pld"], values["ledger"]["sensitivity"]) == ("inf",) * 3
    assert record.read(tmp_path / "free.json").spec.epsilon == math.inf


def test_value_that_json_has_no_number_for_is_never_written(made: Record, tmp_path: Path) -> None:
    broken = dataclasses.replace(made, result={"test_accuracy": math.nan, "test_loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        record.write(broken, CURVE, tmp_path / "seed-0")
    assert not (tmp_path / "seed-0.json").exists()


def test_record_that_cannot_be_written_leaves_the_old_one(made: Record, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError):
        record.write(dataclasses.replace(made, seconds={"total": object()}), CURVE, path.with_suffix(""))  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))


def test_provenance_names_code_libraries_machine_and_time(made: Record) -> None:
    assert {
        "psasc_bench",
        "commit",
        "modified",
        "python",
        "torch",
        "numpy",
        "cpu",
        "device",
        "started",
        "ended",
    } == set(made.provenance)
    assert made.provenance["started"] <= made.provenance["ended"]


# ------------------------------------------------------------------------------------------------ current or not


def test_record_is_current_for_its_own_spec_and_source(made: Record) -> None:
    assert made.current(made.spec, made.fingerprint)


def test_record_of_another_spec_is_not_current(made: Record) -> None:
    assert not made.current(dataclasses.replace(made.spec, learning_rate=0.25), made.fingerprint)


def test_record_of_another_source_is_not_current(made: Record) -> None:
    assert not made.current(made.spec, "0" * 16)


def test_record_of_another_generation_of_the_code_is_not_current(made: Record) -> None:
    assert not dataclasses.replace(made, generation=record.GENERATION - 1).current(made.spec, made.fingerprint)


# ------------------------------------------------------------------------------------------------ what is refused


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("key", ["learning_rate", "epsilon", "seed", "method"])
def test_spec_changed_by_hand_is_refused(key: str, path: Path) -> None:
    rewrite(path, lambda values: values["spec"].update({key: {"method": "dp-sgd"}.get(key, 7)}))
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record \(its spec was changed by hand"):
        record.read(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_record_cut_short_is_refused(share: float, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record .*delete it and run the workflow again"):
        record.read(path)


KEYS = [*(field.name for field in dataclasses.fields(Record)), "format", "spec_hash"]
KEYS.remove("predictions")  # which older records have not


@pytest.mark.parametrize("key", KEYS)
def test_record_that_lacks_a_key_is_refused(key: str, path: Path) -> None:
    rewrite(path, lambda values: values.pop(key))
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record"):
        record.read(path)


@pytest.mark.parametrize("key", ["spec", *record.MAPPINGS])
@pytest.mark.parametrize("value", [None, 5, [], "text"])
def test_record_with_something_else_where_an_object_belongs_is_refused(key: str, value: Any, path: Path) -> None:
    rewrite(path, lambda values: values.update({key: value}))
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record"):
        record.read(path)


@pytest.mark.parametrize("text", ["[]", "5", "null", "{}", '"format"', "[" * 100_000, "\udcff"])
def test_json_of_something_else_is_refused(text: str, path: Path) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record"):
        record.read(path)


@pytest.mark.parametrize("status", ["finished", "missing", None, []])
def test_unknown_status_is_refused(status: Any, path: Path) -> None:
    rewrite(path, lambda values: values.update(status=status))
    with pytest.raises(ValueError, match=r"seed-0\.json: not a run record \(unknown status"):
        record.read(path)


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("result", {"test_accuracy": 1.7}, "result.test_accuracy must be a number from 0 to 1, is 1.7"),
        ("result", {"test_accuracy": -0.1}, "result.test_accuracy must be a number from 0 to 1"),
        ("result", {"test_accuracy": True}, "result.test_accuracy must be a number from 0 to 1, is True"),
        ("result", {"test_accuracy": "0.9"}, "result.test_accuracy must be a number from 0 to 1, is '0.9'"),
        ("result", {"test_accuracy": math.nan}, "result.test_accuracy must be a number from 0 to 1, is nan"),
        ("result", {"test_accuracy": None}, "result.test_accuracy must be a number from 0 to 1, is None"),
        ("result", {"test_loss": math.inf}, "result.test_loss must be a number from 0, is inf"),
        ("result", {"test_loss": -1}, "result.test_loss must be a number from 0, is -1"),
        ("result", {"method": "dp-sgd"}, "its result must be test_accuracy and test_loss, is"),
        ("nonprivate", {"test_accuracy": 0.99}, "nonprivate has 'test_accuracy'; it may have nonfinite_examples"),
        ("nonprivate", {"nonfinite_examples": "0"}, "nonprivate.nonfinite_examples must be a number from 0, is '0'"),
        ("seconds", {"total": "x"}, "seconds.total must be a number from 0, is 'x'"),
        ("seconds", {"total": -1}, "seconds.total must be a number from 0, is -1"),
    ],
)
def test_number_that_no_run_comes_to_is_refused(section: str, change: dict[str, Any], said: str, path: Path) -> None:
    rewrite(path, lambda values: values[section].update(change))
    with pytest.raises(ValueError, match=rf"seed-0\.json: not a run record \({re.escape(said)}.*; delete it and run"):
        record.read(path)


@pytest.mark.parametrize(
    ("section", "key"), [("result", "test_accuracy"), ("result", "test_loss"), ("seconds", "total")]
)
def test_number_that_every_run_has_is_missed(section: str, key: str, path: Path) -> None:
    rewrite(path, lambda values: values[section].pop(key))
    with pytest.raises(ValueError, match=rf"seed-0\.json: not a run record \(.*{key}"):
        record.read(path)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_run_that_did_not_end_well_may_have_no_result(status: str, path: Path) -> None:
    nothing = {"test_accuracy": None, "test_loss": None}
    rewrite(path, lambda values: values.update(status=status, result=nothing))
    assert record.read(path).result == nothing


@pytest.mark.parametrize(
    ("curve", "named"),
    [
        ("epoch,step,test_accuracy,test_loss\n2,11,0.99,1.0\n", r"json: a damaged run record \(its curve does not end"),
        ("epoch,step,test_accuracy,test_loss\n", r"json: a damaged run record \(its curve does not end"),
        (
            "epoch,step,test_accuracy,test_loss,method\n2,11,0.75,1.0,x\n",
            r"csv: not the curve .*it has 'method', which",
        ),
        (
            "epoch,step,test_accuracy,test_loss,state_D\n2,11,0.75,1.0,1\n",
            r"csv: not the curve .*it has 'state_D', which",
        ),
        ("epoch,test_loss,test_accuracy,test_loss\n2,1.0,0.75,1.0\n", r"csv: not the curve .*it has 'test_loss' twice"),
        ("epoch,step,test_accuracy,test_loss\n2,11,0.75,1.0,5\n", r"csv: not the curve .*'values without a column'"),
        ("epoch,step,test_accuracy,test_loss\nx,11,0.75,1.0\n", r"csv: not the curve .*could not convert"),
        ("", r"csv: not the curve of a run \(it is empty\)"),
    ],
)
def test_curve_of_something_else_is_refused(curve: str, named: str, made: Record, path: Path) -> None:
    path.with_suffix(".csv").write_text(curve)
    with pytest.raises(ValueError, match=rf"seed-0\.{named}.*; delete it and run the workflow again"):
        folder.read_curve(path, made)


def test_curve_has_settings_that_move(made: Record, path: Path) -> None:
    setting = next(iter(made.spec.parameters))
    path.with_suffix(".csv").write_text(f"epoch,step,test_accuracy,test_loss,state_{setting}\n2,11,0.75,1.0,0.5\n")
    assert folder.read_curve(path, made)[0][f"state_{setting}"] == "0.5"


def test_shipped_records_are_records_where_they_lie() -> None:
    paths = folder.find(ROOT / "results" / "runs")
    assert len(paths) == len(list((ROOT / "results" / "runs").rglob("*.json"))) > 300
    for path in paths:
        found = record.read(path)
        assert folder.misfiled(path, found) is None
        assert folder.read_curve(path, found)


def test_record_of_another_format_is_refused(path: Path) -> None:
    rewrite(path, lambda values: values.update(format=record.FORMAT + 1))
    with pytest.raises(ValueError, match="not of format 1"):
        record.read(path)
