"""Sweeps as they are declared: which trials a grid or a random search has, and which are refused."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from sweep_study import STUDY, SWEEP

from psasc_bench.study import ConfigError, RunSpec, Study, method_trials, parse_study, sweep_names, sweep_trials


def study(**changes: Any) -> Study:
    """The small study with one sweep, of which some values are changed."""
    return parse_study(STUDY | {"sweeps": {"tuning": SWEEP | changes}}, source="study.yaml")


def problem(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        study(**changes)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix("study.yaml: ")


def trials(given: Study, method: str) -> dict[str, tuple[RunSpec, ...]]:
    return {trial.name: trial.runs for trial in method_trials(given, "tuning", "digits", method)}


# ------------------------------------------------------------------------------------------------ what the trials are


def test_every_point_of_the_grid_is_a_trial_with_a_run_for_every_epsilon_and_seed() -> None:
    found = trials(study(epsilons=[1, 3]), "dp-sgd")
    assert list(found) == [f"C={C},learning_rate={rate}" for rate in (0.2, 0.4) for C in (0.05, 0.1)]
    runs = found["C=0.05,learning_rate=0.4"]
    assert [(run.epsilon, run.seed) for run in runs] == [(1, 100), (1, 101), (3, 100), (3, 101)]
    assert {(run.parameters["C"], run.learning_rate, run.evaluation) for run in runs} == {(0.05, 0.4, "validation")}


def test_settings_that_are_not_varied_are_those_of_the_study() -> None:
    values = copy.deepcopy(STUDY)
    values["datasets"]["digits"]["overrides"] = {"dp-psasc": {"r": 0.3, "s": 4}}
    given = parse_study(values | {"sweeps": {"tuning": SWEEP}}, source="study.yaml")
    run = trials(given, "dp-psasc")["learning_rate=0.2,s=0.5,sensitivity=0.1"][0]
    assert (run.parameters["r"], run.parameters["s"], run.momentum, run.epochs) == (0.3, 0.5, 0.9, 1)


def test_sensitivity_stands_for_the_threshold_that_gives_it() -> None:
    found = trials(study(), "dp-psasc")
    thresholds = {(runs[0].parameters["s"], runs[0].parameters["C"]) for runs in found.values()}
    assert thresholds == {(0.5, 0.05), (2, 0.2)}


def test_several_grids_are_tried_one_after_the_other_and_single_values_need_no_list() -> None:
    grids = [{"iterates": 1}, {"iterates": [2, 4], "epochs": 3}]
    found = trials(study(evaluation="test", methods={"dp-psasc": grids}), "dp-psasc")
    assert list(found) == ["iterates=1", "epochs=3,iterates=2", "epochs=3,iterates=4"]
    assert [(runs[0].parameters["iterates"], runs[0].epochs) for runs in found.values()] == [(1, 1), (2, 3), (4, 3)]


def test_method_without_privacy_is_swept_at_epsilon_infinity() -> None:
    found = trials(study(methods={"nonprivate": {"learning_rate": [0.1, 0.2]}}), "nonprivate")
    assert {run.epsilon for runs in found.values() for run in runs} == {math.inf}


def test_study_with_sweeps_has_the_runs_it_had() -> None:
    plain = parse_study(STUDY, source="study.yaml")
    assert list(study().cells()) == list(plain.cells())
    assert all(study().spec(cell, 0) == plain.spec(cell, 0) for cell in plain.cells())


def test_no_two_runs_of_a_sweep_share_a_file() -> None:
    found = [trial.folder(Path()) / spec.name() for trial in sweep_trials(study(), ["tuning"]) for spec in trial.runs]
    assert len(set(found)) == len(found) == 2 * 4 * 2


def test_step_stands_for_the_learning_rate_that_makes_it_the_longest() -> None:
    """DP-PSASC at C = 0.2 and s = 2 has sensitivity 0.1, DP-SGD that of its C."""
    swept = study(methods={"dp-psasc": {"step": [0.05, 0.1]}, "dp-sgd": {"step": 0.06, "C": [0.1, 0.3]}})
    assert {runs[0].learning_rate for runs in trials(swept, "dp-psasc").values()} == {0.5, 1.0}
    found = {name: runs[0].learning_rate for name, runs in trials(swept, "dp-sgd").items()}
    assert found == {"C=0.1,step=0.06": pytest.approx(0.6), "C=0.3,step=0.06": pytest.approx(0.2)}


def test_step_is_over_the_sensitivity_of_the_trial_or_of_the_data_set() -> None:
    own = {"digits": STUDY["datasets"]["digits"] | {"sensitivity": 0.2}}
    grid = {"dp-sgd": {"step": [0.1, 0.2]}, "dp-psasc": {"step": 0.1, "sensitivity": [0.05, 0.1]}}
    values = {"methods": {"dp-sgd": {}, "dp-psasc": {"s": 2, "r": 0.1}}, "datasets": own}
    given = parse_study(STUDY | values | {"sweeps": {"tuning": SWEEP | {"methods": grid}}}, source="study.yaml")
    assert [runs[0].learning_rate for runs in trials(given, "dp-sgd").values()] == [0.5, 1.0]
    assert [runs[0].learning_rate for runs in trials(given, "dp-psasc").values()] == [2.0, 1.0]


def test_trials_have_what_the_study_sets_at_their_epsilon() -> None:
    values = copy.deepcopy(STUDY)
    values["datasets"]["digits"]["overrides_by_epsilon"] = {1: {"dp-psasc": {"r": 0.3, "s": 4}}, 8: {}}
    given = parse_study(values | {"sweeps": {"tuning": SWEEP | {"epsilons": [1, 3]}}}, source="study.yaml")
    runs = trials(given, "dp-psasc")["learning_rate=0.2,s=0.5,sensitivity=0.1"]
    found = {run.epsilon: (run.parameters["C"], run.parameters["s"], run.parameters["r"]) for run in runs}
    assert found == {1: (0.05, 0.5, 0.3), 3: (0.05, 0.5, 0.1)}


# ------------------------------------------------------------------------------------------------ random search

RANGES: dict[str, Any] = {
    "dp-sgd": {"C": [0.05, 5], "step": [0.01, 0.1]},
    "dp-psasc": {"sensitivity": 0.1, "s": [0.5, 8], "r": [0.01, 1], "step": [0.01, 0.1]},
}


def values_tried(given: Study, method: str, key: str) -> list[float]:
    found = [dict(pair.split("=") for pair in name.split(",")) for name in trials(given, method)]
    return [float(settings[key]) for settings in found]


def test_so_many_trials_are_drawn_for_every_method() -> None:
    given = study(methods=RANGES, trials=6)
    assert [len(trials(given, method)) for method in RANGES] == [6, 6]
    assert all(0.5 <= s <= 8 for s in values_tried(given, "dp-psasc", "s"))
    assert values_tried(given, "dp-psasc", "step") == values_tried(given, "dp-sgd", "step")
    assert {
        round(runs[0].parameters["C"] / runs[0].parameters["s"], 9) for runs in trials(given, "dp-psasc").values()
    } == {0.1}


def test_more_trials_keep_those_there_are() -> None:
    fewer, more = (trials(study(methods=RANGES, trials=number), "dp-psasc") for number in (4, 9))
    assert list(more)[:4] == list(fewer)


def test_further_range_adds_trials_to_those_there_are() -> None:
    wider = {method: [ranges, ranges | {"step": [0.1, 0.4]}] for method, ranges in RANGES.items()}
    given = study(methods=wider, trials=[4, 3])
    assert list(trials(given, "dp-sgd"))[:4] == list(trials(study(methods=RANGES, trials=4), "dp-sgd"))
    steps = values_tried(given, "dp-sgd", "step")
    assert len(steps) == 7
    assert max(steps[:4]) <= 0.1 <= min(steps[4:])


def test_name_of_a_sweep_decides_no_trial() -> None:
    renamed = parse_study(STUDY | {"sweeps": {"other": SWEEP | {"methods": RANGES, "trials": 4}}}, source="study.yaml")
    found = [trial.name for trial in method_trials(renamed, "other", "digits", "dp-psasc")]
    assert found == list(trials(study(methods=RANGES, trials=4), "dp-psasc"))


def test_study_with_a_random_search_comes_back_as_it_was() -> None:
    given = study(methods=RANGES, trials=4)
    assert parse_study(given.model_dump(mode="json"), source="json") == given


# ------------------------------------------------------------------------------------------------ what is refused


def test_methods_that_are_tuned_have_the_same_number_of_trials() -> None:
    unequal = SWEEP["methods"] | {"dp-sgd": {"C": [0.1, 0.2, 0.3]}}
    assert problem(methods=unequal).endswith(
        "the same number of trials where one is chosen: dp-sgd has 3, dp-psasc has 4"
    )
    assert study(evaluation="test", methods=unequal)


def test_tuning_shares_no_seed_with_the_study() -> None:
    assert problem(seeds=[1, 100]).startswith("sweeps.tuning.seeds: must share none with the study")
    assert study(seeds=[1, 100], evaluation="test")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"datasets": ["mnist"]}, "sweeps.tuning: not in this study: data set 'mnist'"),
        ({"methods": {"auto-s": {"C": [1, 2]}}}, "sweeps.tuning: not in this study: method 'auto-s'"),
        ({"methods": {"dp-sgd": {"r": 1}}}, "sweeps.tuning.methods.dp-sgd: dp-sgd has no hyper-parameter 'r'; "),
        ({"methods": {"dp-sgd": {"iterates": 1.5}}}, "sweeps.tuning.methods.dp-sgd: dp-sgd: iterates must be a whole"),
        ({"methods": {"dp-sgd": {"momentum": 1}}}, "sweeps.tuning.methods.dp-sgd.momentum: "),
        ({"methods": {"nonprivate": {"sensitivity": 1}}}, "sweeps.tuning.methods.nonprivate: nonprivate has no hyper"),
        ({"methods": {"dp-sgd": {"epochs": [1, 2]}}}, "sweeps.tuning.methods: epochs cannot be chosen for a method"),
        ({"methods": {"dp-sgd": [{"C": 1}, {"C": [1, 2]}]}}, "sweeps.tuning.methods.dp-sgd: must not name a trial"),
        ({"methods": {"dp-sgd": {}}}, "sweeps.tuning.methods.dp-sgd.0: dictionary should have at least 1 item"),
        ({"methods": {"dp-sgd": {"C": []}}}, "sweeps.tuning.methods.dp-sgd.0.C: tuple should have at least 1 item"),
        ({"methods": {"dp-sgd": {"C": [0.1, 0.1]}}}, "sweeps.tuning.methods.dp-sgd.0.C: must not name a value twice"),
        ({"methods": {"dp-sgd": {"C": [0]}}}, "sweeps.tuning.methods.dp-sgd.0.C.0: input should be greater than 0"),
        ({"methods": {"dp-sgd": {"C": 0.1234567}}}, "sweeps.tuning.methods.dp-sgd.0.C.0: must have at most 6"),
        ({"methods": {"dp-sgd": {"C": 1, "sensitivity": 1}}}, "sweeps.tuning.methods.dp-sgd.0: must not have both se"),
        ({"methods": {"nonprivate": {"step": 1}}}, "sweeps.tuning.methods.nonprivate: step: nonprivate has no sensi"),
        ({"methods": {"dp-sgd": {"C": [1, 2, 3]}}, "trials": 4}, "sweeps.tuning.methods.dp-sgd: C: a range to draw"),
        ({"methods": {"dp-sgd": {"C": [1, 2]}}, "trials": [4, 4]}, "sweeps.tuning.methods.dp-sgd: must have a set of"),
        ({"trials": 0}, "sweeps.tuning.trials.0: input should be greater than or equal to 1"),
        ({"evaluation": "train"}, "sweeps.tuning.evaluation: input should be 'test' or 'validation'"),
    ],
    ids=str,
)  # fmt: skip
def test_impossible_sweep_is_refused_by_key(changes: dict[str, Any], expected: str) -> None:
    assert problem(**changes).startswith(expected)


def test_epochs_of_a_sweep_are_whole() -> None:
    expected = "sweeps.tuning.methods.dp-sgd: epochs must be a whole number"
    assert problem(evaluation="test", methods={"dp-sgd": {"epochs": 1.5}}).startswith(expected)


def test_data_set_is_tuned_once() -> None:
    with pytest.raises(ConfigError, match=r"sweeps\.more\.datasets: sweeps\.tuning chooses for digits already"):
        parse_study(STUDY | {"sweeps": {"tuning": SWEEP, "more": SWEEP}}, source="study.yaml")


def test_sweep_that_nothing_is_chosen_from_may_be_beside_another() -> None:
    shown = {"tuning": SWEEP, "shown": SWEEP | {"choose": False}, "ablation": SWEEP | {"evaluation": "test"}}
    given = parse_study(STUDY | {"sweeps": shown}, source="study.yaml")
    assert sweep_names(given) == ["tuning", "shown", "ablation"]
    assert sweep_names(given, chosen_from=True) == ["tuning"]


def test_asking_for_another_sweep_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no sweep 'tunning'; there are: tuning"):
        method_trials(study(), "tunning", "digits", "dp-sgd")
