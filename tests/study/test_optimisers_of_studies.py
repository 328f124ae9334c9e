"""Update rules in a study: for a data set or a method, in what order, with whose settings; and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sweep_study import STUDY, SWEEP

from psasc_bench.planning import cell_study
from psasc_bench.study import Cell, ConfigError, Roles, RunSpec, Study, method_trials, parse_study, spec_identity

ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}


def study(methods: dict[str, Any], *, sweeps: dict[str, Any] | None = None, **of_digits: Any) -> Study:
    values = {"methods": methods, "datasets": {"digits": STUDY["datasets"]["digits"] | of_digits}}
    return parse_study(STUDY | values | {"sweeps": sweeps or {}}, source="study.yaml")


def spec(given: Study, method: str = "dp-sgd", epsilon: float = 1) -> RunSpec:
    return given.spec(Cell("digits", method, epsilon), 0)


def method(optimiser: Any, **settings: Any) -> dict[str, Any]:
    return {"dp-sgd": {"C": 0.1, "optimiser": optimiser, **settings}}


def problem(*given: Any, **how: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        study(*given, **how)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix("study.yaml: ")


# ------------------------------------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize("given", ["adam", {"adam": None}, {"adam": {}}, ["adam"], [{"adam": {"beta1": 0.9}}]], ids=str)
def test_optimiser_is_a_name_or_settings_by_name_or_a_list_of_such(given: Any) -> None:
    found = spec(study(method(given)))
    assert (found.optimiser, found.momentum) == (({"adam": ADAM},), 0)


def test_rules_keep_their_order() -> None:
    given = ["low-pass", {"heavy-ball": {"momentum": 0.5}}, "cosine", {"average": {"decay": 0.99}}]
    assert [*spec(study(method(given))).optimiser] == [
        {"low-pass": {"decay": 0.9, "previous": 1.0}},
        {"heavy-ball": {"momentum": 0.5}},
        {"cosine": {"floor": 0.0}},
        {"average": {"decay": 0.99}},
    ]


def test_method_goes_before_its_data_set() -> None:
    methods = {"dp-sgd": {"C": 0.1}, "auto-s": {"C": 0.1, "optimiser": "nadam"}}
    given = study(methods, optimiser="adam")
    assert spec(given).optimiser == ({"adam": ADAM},)
    assert spec(given, "auto-s").optimiser == ({"nadam": ADAM | {"decay": 0.004}},)


@pytest.mark.parametrize(
    ("optimiser", "settings", "momentum"),
    [
        ("heavy-ball", {}, 0.9),
        ({"heavy-ball": {"momentum": 0.5}}, {}, 0.5),
        ("heavy-ball", {"momentum": 0.4}, 0.4),
        ({"heavy-ball": {"momentum": 0.5}}, {"momentum": 0.4}, 0.4),
        ({"heavy-ball": {"momentum": 0.5}}, {"heavy-ball.momentum": 0.4}, 0.4),
    ],
)
def test_heavy_ball_alone_is_what_it_was_before_there_were_others(
    optimiser: Any, settings: dict[str, float], momentum: float
) -> None:
    found = spec(study(method(optimiser, **settings)))
    assert found == spec(study({"dp-sgd": {"C": 0.1}}, momentum=momentum))
    assert "optimiser" not in found.to_json()


def test_heavy_ball_among_others_has_the_momentum_that_is_said() -> None:
    assert spec(study(method(["heavy-ball", "cosine"]))).optimiser[0] == {"heavy-ball": {"momentum": 0.9}}
    assert spec(study(method(["heavy-ball", "cosine"], momentum=0.3))).optimiser[0] == {"heavy-ball": {"momentum": 0.3}}


def test_settings_of_a_rule_are_settings_of_a_method() -> None:
    overrides = {"overrides": {"dp-sgd": {"adam.beta1": 0.7}}}
    by_epsilon = {"overrides_by_epsilon": {8: {"dp-sgd": {"adam.beta1": 0.6}}}}
    methods = method({"adam": {"beta1": 0.5}}, **{"adam.beta2": 0.99})
    given = study(methods, **overrides, **by_epsilon)
    assert spec(given).optimiser == ({"adam": ADAM | {"beta1": 0.7, "beta2": 0.99}},)
    assert spec(given, epsilon=8).optimiser == ({"adam": ADAM | {"beta1": 0.6, "beta2": 0.99}},)
    assert set(spec(given).parameters) == {"C", "iterates", "decay"}


def test_sweep_varies_settings_of_rules_and_keeps_the_rules() -> None:
    grid = {"adam.beta1": [0.5, 0.8], "step": [0.1]}
    given = study(method("adam"), sweeps={"tuning": SWEEP | {"methods": {"dp-sgd": grid}}})
    trials = method_trials(given, "tuning", "digits", "dp-sgd")
    assert [trial.name for trial in trials] == ["adam.beta1=0.5,step=0.1", "adam.beta1=0.8,step=0.1"]
    assert [trial.runs[0].optimiser for trial in trials] == [({"adam": ADAM | {"beta1": beta}},) for beta in (0.5, 0.8)]
    first, second = (trial.runs[0] for trial in trials)
    assert spec_identity(given, first) != spec_identity(given, second)
    varied = ["adam.beta1", "learning_rate"]
    assert spec_identity(given, first, varied=varied) == spec_identity(given, second, varied=varied)
    assert spec_identity(given, first, varied=varied) == spec_identity(given, spec(given), varied=varied)


def test_what_a_job_is_told_has_the_rules_in_their_order() -> None:
    methods = {"mine": {"method": "dp-sgd", "C": 0.1, "optimiser": ["low-pass", "adam"], "adam.beta1": 0.8}}
    given = study(methods, optimiser="nadam")
    job = parse_study(json.loads(cell_study(given, "digits", "mine", 1)), source="job")
    assert spec(job, "mine") == spec(given, "mine")
    other = study(methods | {"auto-s": {"C": 0.1, "optimiser": "adam"}}, optimiser="nadam")
    assert cell_study(other, "digits", "mine", 1) == cell_study(given, "digits", "mine", 1)


def test_study_without_optimiser_is_written_as_it_was_before_there_was_one() -> None:
    assert "optimiser" not in study({"dp-sgd": {"C": 0.1}}).model_dump_json()
    assert "optimiser" in study(method("adam")).model_dump_json()


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({"optimiser": "adam"}, "DP-SGD (Adam)"),
        ({"optimiser": ["low-pass", {"average": {"decay": 0.9}}]}, "DP-SGD (low-pass + average: decay = 0.9)"),
        ({"optimiser": "adam", "C": 0.3, "learning_rate": 0.01}, "DP-SGD (Adam, C = 0.3)"),
        ({"optimiser": "adam", "title": "DP-Adam"}, "DP-Adam"),
    ],
)
def test_title_of_a_variant_names_its_rules(given: dict[str, Any], title: str) -> None:
    having = study({"dp-sgd": {"C": 0.1}, "mine": {"method": "dp-sgd", **given}}, sensitivity=0.1)
    assert having.method_title("mine") == title


def test_known_method_with_rules_of_its_own_is_a_newcomer() -> None:
    given = study({"dp-sgd": {"C": 0.1}, "dp-adam": {"method": "dp-sgd", "C": 0.1, "optimiser": "adam"}})
    assert given.roles() == Roles(method="dp-adam", reference="dp-sgd")


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("optimiser", "said"),
    [
        ("adma", "unknown update rule 'adma'; did you mean adam? known: adam, adam-bc, "),
        ({"adam": {"beta": 0.5}}, "adam has no setting 'beta'; it has: beta1, beta2, epsilon"),
        ({"adam": {"beta1": 1}}, "adam: beta1 must be a number from 0 and less than 1, got 1"),
        ({"heavy-ball": {"momentum": 2}}, "heavy-ball: momentum must be a number from 0 and less than 1, got 2"),
        (["cosine", "cosine"], "an optimiser has each rule once, this one has cosine twice"),
        ({"adam": {}, "cosine": {}}, "must have one update rule in each entry; write several as a list"),
        ([], "must name an update rule; leave the key out for heavy-ball"),
    ],
)
def test_rules_that_there_are_not_are_refused_where_they_stand(optimiser: Any, said: str) -> None:
    assert problem(method(optimiser)).startswith(f"methods.dp-sgd.optimiser: {said}")
    assert problem({"dp-sgd": {"C": 0.1}}, optimiser=optimiser).startswith(f"datasets.digits.optimiser: {said}")


@pytest.mark.parametrize("optimiser", [3, [3], {"adam": 3}, {"adam": {"beta1": "much"}}], ids=str)
def test_what_is_no_optimiser_is_refused_in_a_line(optimiser: Any) -> None:
    assert problem(method(optimiser)).startswith("methods.dp-sgd.optimiser.")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cosine.floor": 0.1}, "cosine.floor: the optimiser has no cosine; it has: adam"),
        ({"adam.beta": 0.1}, "adam has no setting 'beta'; it has: beta1, beta2, epsilon"),
        ({"adam.beta1": 1.5}, "adam: beta1 must be a number from 0 and less than 1, got 1.5"),
        ({"momentum": 0.5}, "momentum: the optimiser has no heavy-ball; it has: adam"),
        ({"momentum": 1.5}, "momentum: must be less than 1, got 1.5"),
    ],
)
def test_settings_of_rules_that_are_not_there_are_refused(settings: dict[str, float], said: str) -> None:
    line = problem(method("adam", **settings))
    assert line in (f"methods.dp-sgd: {said}", f"methods.dp-sgd.{said}")


def test_sweep_of_a_rule_that_is_not_there_is_refused() -> None:
    grid = {"adam.beta1": [0.5, 0.8]}
    line = problem({"dp-sgd": {"C": 0.1}}, sweeps={"tuning": SWEEP | {"methods": {"dp-sgd": grid}}})
    assert "adam.beta1: the optimiser has no adam; it has: heavy-ball" in line
