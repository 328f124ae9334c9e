"""What is chosen from the trials of a sweep, and the evidence that is given for it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from psasc_bench.analysis import sweeps


def row(
    C: float,
    accuracy: float | None,
    *,
    rate: float = 0.4,
    seed: int = 100,
    status: str = "done",
    method: str = "dp-sgd",
) -> dict[str, Any]:
    return {
        "sweep": "tuning",
        "dataset": "digits",
        "method": method,
        "seed": seed,
        "status": status,
        "settings": f"C={C:g},learning_rate={rate:g}",
        "C": C,
        "learning_rate": rate,
        "accuracy": accuracy,
        "seconds": 1800.0,
        "threads": 2,
    }


def test_trial_with_the_highest_mean_is_chosen() -> None:
    """0.1 has the best single run, 0.2 the best mean."""
    rows = [row(0.1, 0.95), row(0.1, 0.75, seed=101), row(0.2, 0.85), row(0.2, 0.875, seed=101), row(0.3, 0.1)]
    (choice,) = sweeps.choose(rows)
    assert choice.settings == {"C": 0.2, "learning_rate": 0.4}
    assert (choice.accuracy, choice.next_best, choice.trials, choice.runs) == (0.8625, 0.85, 3, 5)


def test_first_of_equal_trials_is_chosen() -> None:
    (choice,) = sweeps.choose([row(0.3, 0.5), row(0.1, 0.9), row(0.2, 0.9)])
    assert choice.settings["C"] == 0.1


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_trial_of_which_a_run_broke_down_is_not_chosen(status: str) -> None:
    broken = row(0.2, None, seed=101, status=status)
    (choice,) = sweeps.choose([row(0.1, 0.5), row(0.1, 0.5, seed=101), row(0.2, 0.99), broken])
    assert choice.settings["C"] == 0.1


def test_nothing_is_chosen_where_every_trial_broke_down() -> None:
    with pytest.raises(ValueError, match="digits/dp-sgd: a run of every trial diverged"):
        sweeps.choose([row(0.1, None, status="diverged")])


@pytest.mark.parametrize("status", ["missing", "stale", "running"])
def test_nothing_is_chosen_before_all_runs_have_ended(status: str) -> None:
    with pytest.raises(ValueError, match=r"1 runs are missing or stale, as of tuning/C=0\.1,learning_rate=0\.4/digits"):
        sweeps.choose([row(0.2, 0.9), row(0.1, None, status=status)])


def test_every_method_gets_its_own_choice() -> None:
    found = sweeps.choose(
        [row(0.1, 0.5), row(0.2, 0.6), row(0.1, 0.8, method="auto-s"), row(0.2, 0.7, method="auto-s")]
    )
    assert {choice.method: choice.settings["C"] for choice in found} == {"dp-sgd": 0.2, "auto-s": 0.1}


def test_choice_at_the_edge_of_its_grid_is_said_to_be() -> None:
    """C = 0.3 is the largest of three at its learning rate; that rate is one of two."""
    rows = [row(C, C, rate=rate) for C in (0.1, 0.2, 0.3) for rate in (0.2, 0.4)]
    (choice,) = sweeps.choose(rows)
    assert (choice.settings["C"], choice.edges) == (0.3, ("C",))
    (choice,) = sweeps.choose([row(0.1, 0.5), row(0.2, 0.6), row(0.3, 0.5)])
    assert choice.edges == ()


def test_choice_is_written_as_overrides_with_evidence_and_cost() -> None:
    text = sweeps.tuned_study([row(0.1, 0.5), row(0.2, 0.625)])
    overrides = {"dp-sgd": {"C": 0.2, "learning_rate": 0.4}}
    assert yaml.safe_load(text) == {"datasets": {"digits": {"overrides": overrides}}}
    assert "# 62.50 %, the best of 2 trials (2 runs); the next 50.00 %" in text
    assert "2 runs, 2.00 core-hours" in text
    assert "not accounted for in epsilon" in text
