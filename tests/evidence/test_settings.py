"""Which settings of its methods a study has checked: all that it trains, but for what a random search draws."""

from __future__ import annotations

from typing import Any

from sweep_study import STUDY, SWEEP

from psasc_bench.evidence import distinct_optimisers, distinct_settings
from psasc_bench.study import parse_study


def settings(**changes: Any) -> list[tuple[str, float, tuple[str, ...]]]:
    """Of DP-SGD: its name, threshold and places."""
    found = distinct_settings(parse_study(STUDY | changes, source="study.yaml"), names=["dp-sgd"])
    return [(one.name, one.method.sensitivity(), one.places) for one in found]


def datasets(**changes: Any) -> dict[str, Any]:
    return {"datasets": {"digits": STUDY["datasets"]["digits"] | changes}}


def test_setting_of_an_epsilon_is_checked_beside_that_of_the_others() -> None:
    assert settings(**datasets(overrides_by_epsilon={8: {"dp-sgd": {"C": 0.4}}})) == [
        ("dp-sgd", 0.1, ("digits",)),
        ("dp-sgd", 0.4, ("digits",)),
    ]


def test_method_that_no_data_set_has_is_not_checked() -> None:
    assert settings(**datasets(methods=["nonprivate"])) == []


def test_points_of_a_grid_are_checked_and_what_is_drawn_is_not() -> None:
    grid = SWEEP | {"methods": {"dp-sgd": {"C": [0.2, 0.3]}}}
    assert [C for _, C, _ in settings(sweeps={"tuning": grid})] == [0.1, 0.2, 0.3]
    assert [C for _, C, _ in settings(sweeps={"tuning": grid | {"trials": 5}})] == [0.1]


def test_each_optimiser_of_the_methods_is_checked_once_at_its_settings() -> None:
    methods = {
        "dp-sgd": {"C": 0.1},
        "auto-s": {"C": 0.1},
        "dp-adam": {"method": "dp-sgd", "C": 0.1, "optimiser": "adam"},
    }
    grid = SWEEP | {"methods": {"dp-adam": {"adam.beta1": [0.5, 0.9]}, "dp-sgd": {"momentum": [0.5, 0.9]}}}
    study = parse_study(STUDY | {"methods": methods, "sweeps": {"tuning": grid}}, source="study.yaml")
    own, swept = "digits", "sweep tuning on digits"
    adam = "adam (beta1 = {}, beta2 = 0.999, epsilon = 1e-08)"
    assert {one.parameters: one.places for one in distinct_optimisers(study)} == {
        "heavy-ball (momentum = 0.9)": (own, swept),
        "heavy-ball (momentum = 0.5)": (swept,),
        adam.format(0.9): (own, swept),
        adam.format(0.5): (swept,),
    }
    assert [one.parameters for one in distinct_optimisers(study, names=["auto-s"])] == ["heavy-ball (momentum = 0.9)"]
