"""How far a study is: every run has one status, whatever lies in the folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from psasc_bench.files import exclusive
from psasc_bench.privacy import Budget
from psasc_bench.records import Record, fingerprint, record, spool, status
from psasc_bench.study import Cell, Study, parse_study

STUDY: dict[str, Any] = {
    "seeds": [0, 1, 2, 3, 4, 5],
    "epsilons": [3],
    "methods": {"dp-sgd": {"C": 0.1}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 1,
            "momentum": 0.9,
        }
    },
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Where its data has not been prepared."""
    monkeypatch.chdir(tmp_path)
    return parse_study(STUDY, source="study")


def test_runs_are_those_of_the_data_sets_methods(tmp_path: Path) -> None:
    some = STUDY["datasets"]["digits"] | {"methods": ["nonprivate"]}
    values = STUDY | {"methods": STUDY["methods"] | {"nonprivate": {}}, "datasets": {"digits": some}}
    surveyed = list(status.survey(parse_study(values, source="study"), tmp_path))
    assert {run.spec.method for run in surveyed} == {"nonprivate"}
    assert len(surveyed) == 6


def write(study: Study, runs: Path, *, seed: int, **changes: Any) -> None:
    spec = study.spec(Cell("digits", "dp-sgd", 3.0), seed)
    budget = Budget(
        epsilon=3, delta=1e-4, sampling_rate=0.2, steps=6, noise_multiplier=1, epsilon_rdp=2.9, epsilon_pld=2.8
    )
    values: dict[str, Any] = {
        "spec": spec,
        "fingerprint": fingerprint(spec, source="digits", features="pixels"),
        "status": "done",
        "reason": None,
        "result": {"test_accuracy": 0.9, "test_loss": 0.3},
        "ledger": record.ledger(budget, sensitivity=0.1, steps_taken=6),
        "nonprivate": {"nonfinite_examples": 0},
        "seconds": {"total": 1.0},
        "provenance": {"commit": None, "peak_memory_mib": 1.0, "data_sha256": "d"},
    }
    values |= changes
    record.write(Record(**values), [{"epoch": 1, "step": 6, **values["result"]}], runs / spec.name())


def test_every_run_has_its_status(study: Study, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write(study, runs, seed=0)
    write(study, runs, seed=1, status="diverged", reason="not finite at step 3")
    write(study, runs, seed=2, status="failed", reason="out of memory")
    write(study, runs, seed=3, fingerprint="0" * 16)
    running = study.spec(Cell("digits", "dp-sgd", 3.0), 4)
    with exclusive(spool.lock_file(running, spool.spool_beside(runs)), lambda: None):
        surveyed = list(status.survey(study, runs))
    assert [run.status for run in surveyed] == ["done", "diverged", "failed", "stale", "running", "missing"]
    assert [run.reason for run in surveyed] == [None, "not finite at step 3", "out of memory", None, None, None]
    assert [run.status for run in status.survey(study, runs)][4] == "missing"


def test_grid_counts_and_names_what_went_wrong(study: Study, tmp_path: Path) -> None:
    write(study, tmp_path, seed=0)
    write(study, tmp_path, seed=2, status="failed", reason="out of memory")
    assert status.status_grid(list(status.survey(study, tmp_path))).splitlines() == [
        "digits",
        "  dp-sgd  eps 3: 4 missing, 1 done, 1 failed",
        "digits/dp-sgd/eps-3/seed-2: failed: out of memory",
        "in all: 4 missing, 1 done, 1 failed",
    ]


def test_only_runs_that_are_done_enter_a_mean(study: Study, tmp_path: Path) -> None:
    from psasc_bench.analysis import results

    write(study, tmp_path, seed=0)
    none = {"test_accuracy": None, "test_loss": None}
    write(study, tmp_path, seed=1, status="diverged", reason="x", result={"test_accuracy": 0.1, "test_loss": None})
    write(study, tmp_path, seed=2, status="failed", reason="x", result=none)
    table, _ = results.read_runs(study, tmp_path, {})
    (cell,) = results.summarise(table, "dp-sgd").to_dict("records")
    assert (cell["n"], cell["accuracy_mean"]) == (1, 0.9)
    assert (cell["diverged"], cell["failed"], cell["missing"]) == (1, 1, 3)
    assert math.isnan(cell["accuracy_low"])
