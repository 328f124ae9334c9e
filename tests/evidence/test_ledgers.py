"""A ledger that does not hold is named, whatever the record says of itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from psasc_bench import records
from psasc_bench.evidence import ledgers
from psasc_bench.privacy import Budget, calibrate
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


def problem_of(
    folder: Path,
    *,
    status: str = "done",
    budget: Budget = BUDGET,
    spec: RunSpec = SPEC,
    place: str = "",
    **ledger: Any,
) -> str | None:
    made = Record(
        spec=spec,
        fingerprint="0",
        status=status,  # type: ignore[arg-type]
        reason=None,
        result={"test_accuracy": 0.9, "test_loss": 0.1},
        ledger=records.ledger(budget, sensitivity=0.1, steps_taken=100) | ledger,
        nonprivate={},
        seconds={"total": 1.0},
        provenance={},
    )
    stem = folder / (place or spec.name())
    records.write(made, [{"epoch": 1.0}], stem)
    (row,) = ledgers.verify_ledgers([stem.with_name(f"{stem.name}.json")])
    assert row.run == (place or spec.name())
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


@pytest.mark.parametrize(
    "wrong", [{"place": "digits/dp-psasc/eps-3/seed-1"}, {"spec": replace(SPEC, listed_as="mine")}]
)
def test_record_of_another_run_than_it_is_filed_as_is_named(wrong: dict[str, Any], tmp_path: Path) -> None:
    place = "digits/dp-psasc/eps-3/seed-0"
    found = problem_of(tmp_path, **{"budget": sound(), "place": place} | wrong)
    is_of = wrong.get("spec", SPEC).name()
    assert found == f"it is filed as {wrong.get('place', place)} but is the run {is_of}"


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


@pytest.mark.parametrize("key", ["delta", "noise_multiplier", "sampling_rate", "steps"])
@pytest.mark.parametrize("value", [None, "much", -1])
def test_ledger_with_a_gap_is_named_with_the_gap(key: str, value: object, tmp_path: Path) -> None:
    assert f"lacks or garbles '{key}'" in str(problem_of(tmp_path, budget=sound(), **{key: value}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "gone"}, "it cannot be verified: unknown method 'gone'"),
        ({"parameters": {"C": 0.2, "clip": 1.0}}, "it cannot be verified: dp-psasc has no hyper-parameter 'clip'"),
        ({"epochs": 0}, "its spec is for 0 epochs"),
        ({"expected_batch_size": 0}, "batches of 0 examples"),
        ({"epsilon": 2.9}, "its spec for epsilon 2.9"),
    ],
    ids=str,
)
def test_ledger_of_a_run_that_cannot_be_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in str(problem_of(tmp_path, budget=sound(), spec=replace(SPEC, **changes)))


# The planted bugs: what a run would have spent beyond its budget, had training done so, by the smallest of margins.


@cache
def calibrated() -> Budget:
    return calibrate(epsilon=3.0, delta=1e-5, sampling_rate=0.1, steps=100)


def tight(**changes: Any) -> Budget:
    """A budget that was calibrated, and ``changes`` that leave what it says was spent as it was."""
    return replace(calibrated(), **changes)


def test_calibrated_budget_holds(tmp_path: Path) -> None:
    assert problem_of(tmp_path, budget=tight()) is None


def test_noise_two_in_a_hundred_too_small_is_named(tmp_path: Path) -> None:
    noise = tight().noise_multiplier
    assert "recomputed it is" in str(problem_of(tmp_path, budget=tight(noise_multiplier=0.98 * noise)))


def test_step_more_than_planned_is_named(tmp_path: Path) -> None:
    assert "its ledger is for 101 steps" in str(problem_of(tmp_path, budget=tight(steps=101), steps_taken=101))


def test_sampling_rate_two_in_a_hundred_too_large_is_named(tmp_path: Path) -> None:
    assert "its ledger is for sampling rate" in str(problem_of(tmp_path, budget=tight(sampling_rate=0.102)))
    # of 980 examples, 98 steps: what was spent is that of 1,000
    larger = tight(steps=98, sampling_rate=100 / 980)
    assert "recomputed it is" in str(problem_of(tmp_path, budget=larger, steps_taken=98))


@pytest.mark.parametrize("epsilon", [0.1, 50.0])
@pytest.mark.parametrize("delta", [1e-5, 1.1e-10, 1e-15])
def test_honest_run_holds_whatever_its_budget(epsilon: float, delta: float, tmp_path: Path) -> None:
    budget = calibrate(epsilon=epsilon, delta=delta, sampling_rate=0.1, steps=100)
    spec = replace(SPEC, epsilon=epsilon, delta=delta)
    assert problem_of(tmp_path, budget=budget, spec=spec) is None
