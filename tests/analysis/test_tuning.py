"""What is chosen from the trials of a sweep, and the evidence that is given for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from psasc_bench.analysis import tuning


def row(
    C: float,
    accuracy: float | None,
    *,
    rate: float = 0.4,
    seed: int = 100,
    status: str = "done",
    method: str = "dp-sgd",
    epsilon: float = 3.0,
) -> dict[str, Any]:
    settings = {"C": C, "learning_rate": rate}
    return trial(settings, accuracy, status=status, method=method, epsilon=epsilon, seed=seed)


def trial(settings: dict[str, float], accuracy: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "sweep": "tuning",
        "dataset": "digits",
        "epsilon": 3.0,
        "method": "dp-sgd",
        "seed": 100,
        "status": "done",
        "settings": ",".join(f"{key}={value:g}" for key, value in settings.items()),
        **settings,
        "accuracy": accuracy,
        "seconds": 1800.0,
        "threads": 2,
        **changes,
    }


def test_trial_with_the_highest_mean_is_chosen() -> None:
    """0.1 has the best single run, 0.2 the best mean."""
    rows = [row(0.1, 0.95), row(0.1, 0.75, seed=101), row(0.2, 0.85), row(0.2, 0.875, seed=101), row(0.3, 0.1)]
    (choice,) = tuning.choose(rows)
    assert choice.settings == {"C": 0.2, "learning_rate": 0.4}
    assert (choice.accuracy, choice.next_best, choice.trials, choice.runs) == (0.8625, 0.85, 3, 5)


def test_first_of_equal_trials_is_chosen() -> None:
    (choice,) = tuning.choose([row(0.3, 0.5), row(0.1, 0.9), row(0.2, 0.9)])
    assert choice.settings["C"] == 0.1


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_trial_of_which_a_run_broke_down_is_not_chosen(status: str) -> None:
    broken = row(0.2, None, seed=101, status=status)
    (choice,) = tuning.choose([row(0.1, 0.5), row(0.1, 0.5, seed=101), row(0.2, 0.99), broken])
    assert choice.settings["C"] == 0.1


def test_nothing_is_chosen_where_every_trial_broke_down() -> None:
    with pytest.raises(ValueError, match="digits/dp-sgd at epsilon 3: a run of every trial diverged"):
        tuning.choose([row(0.1, None, status="diverged")])


@pytest.mark.parametrize("status", ["missing", "stale", "running"])
def test_nothing_is_chosen_before_all_runs_have_ended(status: str) -> None:
    with pytest.raises(ValueError, match=r"1 runs are missing or stale, as of tuning/C=0\.1,learning_rate=0\.4/digits"):
        tuning.choose([row(0.2, 0.9), row(0.1, None, status=status)])


def test_every_method_gets_its_own_choice() -> None:
    found = tuning.choose(
        [row(0.1, 0.5), row(0.2, 0.6), row(0.1, 0.8, method="auto-s"), row(0.2, 0.7, method="auto-s")]
    )
    assert {choice.method: choice.settings["C"] for choice in found} == {"dp-sgd": 0.2, "auto-s": 0.1}


def test_every_epsilon_gets_its_own_choice() -> None:
    """0.2 has the better mean over both, and is the better of neither."""
    accuracies = {0.1: (0.5, 0.9), 0.2: (0.7, 0.8), 0.3: (0.75, 0.1)}
    rows = [row(C, a, epsilon=epsilon) for C, of in accuracies.items() for epsilon, a in zip((3, 1), of, strict=True)]
    assert [(choice.epsilon, choice.settings["C"]) for choice in tuning.choose(rows)] == [(1, 0.1), (3, 0.3)]


def test_trial_that_breaks_down_at_one_epsilon_can_be_chosen_at_another() -> None:
    rows = [row(0.1, 0.5), row(0.2, 0.9), row(0.1, 0.4, epsilon=1), row(0.2, None, epsilon=1, status="diverged")]
    assert [choice.settings["C"] for choice in tuning.choose(rows)] == [0.1, 0.2]


# ------------------------------------------------------------------------------------------------ edges


def edges(tried: list[dict[str, float]], best: int) -> tuple[str, ...]:
    (choice,) = tuning.choose([trial(settings, 0.9 if i == best else 0.5) for i, settings in enumerate(tried)])
    return choice.edges


@pytest.mark.parametrize(
    ("best", "found"), [(0, ("C", "rate")), (1, ("C",)), (4, ()), (5, ("rate",)), (8, ("C", "rate"))]
)
def test_smallest_and_largest_of_a_grid_are_at_its_edge(best: int, found: tuple[str, ...]) -> None:
    assert edges([{"C": C, "rate": rate} for C in (0.1, 0.2, 0.3) for rate in (1, 2, 4)], best) == found


def test_there_is_no_edge_among_two_values() -> None:
    assert edges([{"C": C} for C in (0.1, 0.2)], 1) == ()


def test_settings_that_vary_together_have_edges_too() -> None:
    """The step, C times the rate, is the same: no two trials differ in one setting alone."""
    tried = [{"C": 0.1, "rate": 0.6}, {"C": 0.5, "rate": 0.12}, {"C": 2, "rate": 0.03}]
    assert [edges(tried, best) for best in range(3)] == [("C", "rate"), (), ("C", "rate")]


def test_edge_of_one_grid_among_several_is_found() -> None:
    """0.06 is in the middle of all the rates, and the largest that was tried with C = 2."""
    tried = [{"C": 0.1, "rate": rate} for rate in (0.3, 0.6, 1.2)] + [
        {"C": 2, "rate": rate} for rate in (0.015, 0.03, 0.06)
    ]
    assert edges(tried, 5) == ("rate",)
    assert edges(tried, 4) == ()


@pytest.mark.parametrize(
    ("best", "at_edge"), [(0.001, True), (0.0019, True), (0.0021, False), (0.4, False), (0.6, True)]
)
def test_outer_tenth_of_what_was_drawn_is_its_edge(best: float, at_edge: bool) -> None:
    """From 0.001 to 1, a tenth of the logarithms is a factor of 2: below 0.002, and above 0.5."""
    tried = [{"r": r, "learning_rate": 0.1 + r / 100} for r in (0.001, 0.01, 0.03, 0.2, 1.0)]
    assert ("r" in edges([*tried, {"r": best, "learning_rate": 0.05}], 5)) == at_edge


def test_edge_is_told_with_its_remedy() -> None:
    rows = [row(C, C, epsilon=1) for C in (0.1, 0.2, 0.3)] + [row(C, 0.5 - abs(C - 0.2)) for C in (0.1, 0.2, 0.3)]
    assert tuning.edge_notes(rows) == [
        "digits/dp-sgd at epsilon 1: at the edge of what was tried: C; extend it, by as many trials for every method "
        "(config: sweeps.tuning.methods.dp-sgd)"
    ]


# ------------------------------------------------------------------------------------------------ what is written


def written(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(yaml.safe_load(tuning.tuned_study(rows))["datasets"]["digits"])


def test_choice_is_written_by_epsilon_with_evidence_and_cost() -> None:
    rows = [row(0.1, 0.5), row(0.2, 0.625), row(0.1, 0.4, epsilon=0.5), row(0.2, 0.3, epsilon=0.5)]
    assert written(rows) == {
        "tuned": True,
        "methods": ["dp-sgd"],
        "epsilons": [0.5, 3],
        "overrides_by_epsilon": {
            0.5: {"dp-sgd": {"C": 0.1, "learning_rate": 0.4}},
            3: {"dp-sgd": {"C": 0.2, "learning_rate": 0.4}},
        },
    }
    text = tuning.tuned_study(rows)
    assert "# 62.50 %, the best of 2 trials (2 runs); the next 50.00 %" in text
    assert "4 runs, 4.00 core-hours" in text
    assert "not accounted for in epsilon" in text


def test_choice_without_privacy_is_written_for_all_epsilons() -> None:
    rows = [row(0.1, 0.5), row(0.2, 0.9, method="nonprivate", epsilon=math.inf)]
    assert written(rows)["overrides"] == {"nonprivate": {"C": 0.2, "learning_rate": 0.4}}
    assert list(written(rows)["overrides_by_epsilon"]) == [3]
    assert "epsilons" not in written(rows[1:])


def test_what_was_tried_is_written_as_the_setting_that_it_stands_for() -> None:
    settings = {"sensitivity": 0.1, "step": 0.05, "s": 3.0}
    rows = [trial(settings, 0.5, C=0.1 * 3, learning_rate=0.05 / 0.1, method="dp-psasc")]
    overrides = written(rows)["overrides_by_epsilon"][3]["dp-psasc"]
    assert overrides == {"C": 0.3, "learning_rate": 0.5, "s": 3}


def test_setting_that_a_run_has_under_another_name_is_written_as_it_was_tried() -> None:
    """Momentum of a chain stands with its rules in a specification, whose own momentum is then 0."""
    rows = [trial({"momentum": 0.5, "adam.beta1": 0.8}, 0.5, momentum=0.0)]
    assert written(rows)["overrides_by_epsilon"][3]["dp-sgd"] == {"momentum": 0.5, "adam.beta1": 0.8}
