"""A ledger that does not hold is named, whatever the record says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psasc_bench import records
from psasc_bench.evidence import ledgers
from psasc_bench.privacy import Budget
from psasc_bench.records import Record
from psasc_bench.study import RunSpec

# its spent epsilons are put right by `sound`
BUDGET = Budget(
    epsilon=3.0,
    delta=1e-5,
    sampling_rate=0.1,
    steps=100,
    noise_multiplier=2.0,
    epsilon_rdp=2.70,
    epsilon_pld=2.4,
)
SPEC = RunSpec(
    dataset="digits",
    model="digits_cnn",
    method="dp-psasc",
    parameters={"C": 0.2, "s": 2.0, "r": 0.1},
    epsilon=3.0,
    delta=1e-5,
    expected_batch_size=100,
    epochs=10,
    learning_rate=0.5,
    momentum=0.9,
    seed=0,
)


def problem_of(folder: Path, *, status: str = "done", budget: Budget = BUDGET, **ledger: Any) -> str | None:
    made = Record(
        spec=SPEC,
        fingerprint="0",
        status=status,  # type: ignore[arg-type]
        reason=None,
        result={"test_accuracy": 0.9, "test_loss": 0.1},
        ledger=records.ledger(budget, sensitivity=0.1, steps_taken=100) | ledger,
        nonprivate={},
        seconds={"total": 1.0},
        provenance={},
    )
    records.write(made, [{"epoch": 1.0}], folder / "seed-0")
    (row,) = ledgers.verify_ledgers([folder / "seed-0.json"])
    return row.problem


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("absl.logging.warning", lambda *_: None)


def spent() -> float:
    return ledgers.epsilon_by_dp_accounting(2.0, 0.1, 100, 1e-5)


def sound() -> Budget:
    return replace(BUDGET, epsilon_rdp=spent())


def test_sound_ledger_holds(tmp_path: Path) -> None:
    assert problem_of(tmp_path, budget=sound()) is None


def test_overspent_budget_is_named(tmp_path: Path) -> None:
    assert "it spent epsilon" in str(problem_of(tmp_path, budget=sound(), noise_multiplier=1.0))


def test_more_steps_than_accounted_are_named(tmp_path: Path) -> None:
    # 110 steps still fit the budget of 3: it is the plan that they break
    assert problem_of(tmp_path, budget=sound(), steps_taken=110) == "it took 110 steps where 100 were planned"


def test_skipped_steps_are_named(tmp_path: Path) -> None:
    assert problem_of(tmp_path, budget=sound(), steps_taken=99) == "it took 99 steps where 100 were planned"


def test_diverged_run_may_have_stopped_early(tmp_path: Path) -> None:
    assert problem_of(tmp_path, status="diverged", budget=sound(), steps_taken=99) is None


def test_ledger_for_another_budget_than_the_spec_is_named(tmp_path: Path) -> None:
    assert "its ledger is for epsilon 8" in str(problem_of(tmp_path, budget=sound(), epsilon=8.0))


def test_epsilon_that_recomputation_contradicts_is_named(tmp_path: Path) -> None:
    assert "recomputed it is" in str(problem_of(tmp_path, budget=sound(), epsilon_rdp=0.9 * spent()))


def test_noise_against_another_sensitivity_is_named(tmp_path: Path) -> None:
    # the planted bug: noise for C/s = 0.1 forgotten, C = 0.2 written down
    assert "noise was added against sensitivity 0.2" in str(problem_of(tmp_path, budget=sound(), sensitivity=0.2))


def test_ledger_with_a_gap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ledger lacks or garbles"):
        problem_of(tmp_path, budget=sound(), delta=None)
