"""A ledger that does not hold is named, whatever the record says of itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from psasc_bench import records
from psasc_bench.evidence import accountants, ledgers
from psasc_bench.privacy import Accountant, Budget, calibrate
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
        ({"method": "file-818c"}, "it cannot be verified: its method is in a file that this study does not name"),
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


def test_accountant_that_is_none_is_named(tmp_path: Path) -> None:
    assert "lacks or garbles 'accountant': 'mine'" in str(problem_of(tmp_path, budget=sound(), accountant="mine"))


def test_noise_calibrated_by_another_accountant_than_the_spec_says_is_named(tmp_path: Path) -> None:
    found = problem_of(tmp_path, budget=sound(), accountant="pld")
    assert found == "its noise was calibrated by pld; its spec is for rdp"


# The planted bugs: what a run would have spent beyond its budget, had training done so, by the smallest of margins.

both = pytest.mark.parametrize("accountant", get_args(Accountant))


@cache
def calibrated(accountant: Accountant) -> Budget:
    return calibrate(epsilon=3.0, delta=1e-5, sampling_rate=0.1, steps=100, accountant=accountant)


def tight(accountant: Accountant = "rdp", **changes: Any) -> Budget:
    """A budget that was calibrated, and ``changes`` that leave what it says was spent as it was."""
    return replace(calibrated(accountant), **changes)


def short_of_noise(accountant: Accountant) -> Budget:
    """A hundredth too little, but what that spends is rightly said."""
    noise = 0.99 * tight(accountant).noise_multiplier
    schedule = (noise, 0.1, 100, 1e-5)
    by_rdp, by_pld = accountants.epsilon_by_quadrature(*schedule), accountants.epsilon_at_most(*schedule, interval=1e-4)
    return tight(accountant, noise_multiplier=noise, epsilon_rdp=by_rdp, epsilon_pld=by_pld)


def spec_of(accountant: Accountant) -> RunSpec:
    return replace(SPEC, accountant=accountant)


@both
def test_calibrated_budget_holds(accountant: Accountant, tmp_path: Path) -> None:
    assert problem_of(tmp_path, budget=tight(accountant), spec=spec_of(accountant)) is None


def test_budget_kept_by_pld_alone_is_kept_only_if_pld_calibrated_it(tmp_path: Path) -> None:
    budget = tight("pld")
    assert budget.epsilon_rdp > 1.05 * budget.epsilon > budget.epsilon_pld
    assert "by rdp, which calibrated its noise" in str(problem_of(tmp_path, budget=replace(budget, accountant="rdp")))


@both
def test_noise_a_hundredth_less_than_accounted_is_named(accountant: Accountant, tmp_path: Path) -> None:
    budget = tight(accountant, noise_multiplier=0.99 * tight(accountant).noise_multiplier)
    found = str(problem_of(tmp_path, budget=budget, spec=spec_of(accountant)))
    assert "it spent epsilon 3.0" in found


@both
def test_calibration_that_is_a_hundredth_short_of_noise_is_named(accountant: Accountant, tmp_path: Path) -> None:
    found = str(problem_of(tmp_path, budget=short_of_noise(accountant), spec=spec_of(accountant)))
    assert "it spent epsilon 3.0" in found


def test_pld_that_overlooks_a_hundredth_of_the_noise_is_refuted_by_another_implementation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_kind(noise_multiplier: float, *schedule: float, **how: float) -> float:
        return accountants.epsilon_at_most(noise_multiplier / 0.99, *schedule, **how)

    monkeypatch.setattr(ledgers, "epsilon_at_most", too_kind)
    budget = replace(short_of_noise("pld"), epsilon_pld=2.999)
    assert "it spent epsilon 3.0" in str(problem_of(tmp_path, budget=budget, spec=spec_of("pld")))


@both
def test_step_more_than_planned_is_named(accountant: Accountant, tmp_path: Path) -> None:
    found = problem_of(tmp_path, budget=tight(accountant, steps=101), spec=spec_of(accountant), steps_taken=101)
    assert "its ledger is for 101 steps" in str(found)


@both
def test_sampling_rate_two_in_a_hundred_too_large_is_named(accountant: Accountant, tmp_path: Path) -> None:
    found = problem_of(tmp_path, budget=tight(accountant, sampling_rate=0.102), spec=spec_of(accountant))
    assert "its ledger is for sampling rate" in str(found)
    # of 980 examples, 98 steps: what was spent is that of 1,000
    larger = tight(accountant, steps=98, sampling_rate=100 / 980)
    found = problem_of(tmp_path, budget=larger, spec=spec_of(accountant), steps_taken=98)
    assert "it spent epsilon 3.0" in str(found)


def test_run_that_failed_before_its_first_step_has_spent_nothing(tmp_path: Path) -> None:
    assert problem_of(tmp_path, status="diverged", budget=tight("pld"), spec=spec_of("pld"), steps_taken=0) is None


@pytest.mark.parametrize("epsilon", [0.1, 50.0])
@pytest.mark.parametrize(
    ("accountant", "delta"), [("rdp", 1e-5), ("rdp", 1.1e-10), ("rdp", 1e-15), ("pld", 1e-5), ("pld", 1.1e-10)]
)
def test_honest_run_holds_whatever_its_budget(
    accountant: Accountant, delta: float, epsilon: float, tmp_path: Path
) -> None:
    budget = calibrate(epsilon=epsilon, delta=delta, sampling_rate=0.1, steps=100, accountant=accountant)
    spec = replace(spec_of(accountant), epsilon=epsilon, delta=delta)
    assert problem_of(tmp_path, budget=budget, spec=spec) is None


# --------------------------------------------------------------------------------------------- two releases in one step

QUANTILE = replace(SPEC, method="quantile", parameters={"C": 0.1})
RELEASES = {  # of 100 expected examples: 10, and (2^-2 - 10^-2)^(-1/2)
    "gradient": {"noise_multiplier": 2.0412414523193152, "sensitivity": 0.1},
    "statistic": {"noise_multiplier": 10.0, "sensitivity": 0.5},
}


def test_releases_that_jointly_cost_the_budget_hold(tmp_path: Path) -> None:
    assert problem_of(tmp_path, budget=sound(), spec=QUANTILE, releases=RELEASES) is None


def changed(release: str, key: str, value: Any) -> dict[str, Any]:
    return RELEASES | {release: RELEASES[release] | {key: value}}


@pytest.mark.parametrize(
    ("releases", "problem"),
    [
        ({}, "its ledger lacks or garbles 'releases'"),
        ({"gradient": RELEASES["gradient"]}, "its ledger lacks or garbles 'releases'"),
        (changed("statistic", "noise_multiplier", 0), "its ledger lacks or garbles 'releases'"),
        (changed("gradient", "noise_multiplier", 2.0), "its releases jointly have noise multiplier 1.96116"),
        (changed("statistic", "noise_multiplier", 5.0), "its releases jointly have noise multiplier 1.8898"),
        (changed("statistic", "sensitivity", 0.1), "its releases are not those of quantile"),
        (RELEASES | {"more": {"noise_multiplier": 3.0}}, "its releases jointly have noise multiplier 1.664"),
    ],
)
def test_releases_that_do_not_are_named(releases: dict[str, Any], problem: str, tmp_path: Path) -> None:
    assert str(problem_of(tmp_path, budget=sound(), spec=QUANTILE, releases=releases)).startswith(problem)


def test_release_of_a_method_that_makes_none_is_named(tmp_path: Path) -> None:
    releases = {"statistic": {"noise_multiplier": 2.0, "sensitivity": 1.0}}
    assert problem_of(tmp_path, budget=sound(), releases=releases) == "its releases are not those of dp-psasc"
