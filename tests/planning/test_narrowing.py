"""Narrowed studies: they hold all that a job depends on, so that it is due when that changes, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from planned_studies import DIGITS, LETTERS, METHODS, STUDY, SWEEPS, planned, with_digits

from psasc_bench.planning import audited_study, cell_study, study_trials, sweep_study, trajectory_study
from psasc_bench.study import Cell, ConfigError, Study, format_epsilon, method_trials, parse_study

BY_EPSILON = {10: {"dp-sgd": {"C": 0.5}}, 0.5: {"dp-sgd": {"C": 0.2, "learning_rate": 3}}}


def parsed(narrowed: str) -> Study:
    """As a job reads it."""
    return parse_study(json.loads(narrowed), source="/dev/stdin")


# ------------------------------------------------------------------------------------------------ runs


@pytest.mark.parametrize("cell", list(planned().cells()), ids=lambda cell: f"{cell.dataset}/{cell.method}")
def test_cell_is_trained_as_the_study_says(cell: Cell) -> None:
    study = planned()
    narrowed = parsed(cell_study(study, cell.dataset, cell.method, cell.epsilon))
    assert narrowed.spec(cell, seed=7) == study.spec(cell, seed=7)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [0, 1, 2]},
        {"epsilons": [1, 10]},
        {"train": ["letters"]},
        {"sweeps": {}},
        {"data_root": "elsewhere"},
        {"methods": METHODS | {"nonprivate": {"learning_rate": 0.1}}},
        {"methods": METHODS | {"auto-s": {"C": 0.1}}},
        {"datasets": {"digits": DIGITS, "letters": LETTERS | {"epochs": 9}}},
        {"datasets": {"digits": DIGITS | {"title": "Ziffern"}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"share_process": False, "more_seeds": {10: [5]}}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"overrides": {"nonprivate": {"momentum": 0.5}}}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"methods": ["dp-sgd"], "tuned": True}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"overrides_by_epsilon": {0.5: {"dp-sgd": {"C": 2}}}}, "letters": LETTERS}},
    ],
    ids=str,
)
def test_cell_is_not_due_for_what_does_not_concern_it(changes: dict[str, Any]) -> None:
    assert cell_study(planned(**changes), "digits", "dp-sgd", 10) == cell_study(planned(), "digits", "dp-sgd", 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": METHODS | {"dp-sgd": {"C": 0.2}}},
        {"datasets": {"digits": DIGITS | {"epochs": 9}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"probe_every_epochs": 0}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"overrides": {"dp-sgd": {"momentum": 0.5}}}, "letters": LETTERS}},
        {"datasets": {"digits": DIGITS | {"overrides_by_epsilon": {10: {"dp-sgd": {"C": 2}}}}, "letters": LETTERS}},
    ],
    ids=str,
)
def test_cell_is_due_for_what_concerns_it(changes: dict[str, Any]) -> None:
    assert cell_study(planned(**changes), "digits", "dp-sgd", 10) != cell_study(planned(), "digits", "dp-sgd", 10)


def test_cell_of_settings_by_epsilon_is_trained_as_the_study_says() -> None:
    study = with_digits(overrides_by_epsilon=BY_EPSILON)
    for cell in study.cells():
        narrowed = parsed(cell_study(study, cell.dataset, cell.method, cell.epsilon))
        assert narrowed.spec(cell, seed=7) == study.spec(cell, seed=7)


@pytest.mark.parametrize("said", [{"optimiser": ["adam"]}, {"augment": ["shift"], "augmentations": 4}], ids=str)
def test_cell_of_a_method_with_more_than_settings_is_trained_as_the_study_says(said: dict[str, Any]) -> None:
    own = {"mine": {"method": "dp-sgd", "C": 0.1} | said}
    study = planned(methods=METHODS | own)
    cell = Cell("digits", "mine", 10)
    narrowed = parsed(cell_study(study, "digits", "mine", 10))
    assert narrowed.spec(cell, seed=7) == study.spec(cell, seed=7) != study.spec(Cell("digits", "dp-sgd", 10), seed=7)
    assert parsed(audited_study(study)).spec(cell, seed=7) == study.spec(cell, seed=7)


def test_override_of_what_the_method_says_anyway_changes_nothing() -> None:
    same = with_digits(overrides={"dp-sgd": {"C": 0.1}})
    assert cell_study(same, "digits", "dp-sgd", 10) == cell_study(planned(), "digits", "dp-sgd", 10)


def test_unknown_data_set_has_no_cells() -> None:
    with pytest.raises(ConfigError, match="no data set 'cifar'"):
        cell_study(planned(), "cifar", "dp-sgd", 10)


# ------------------------------------------------------------------------------------------------ audit, deviations


def test_audit_is_of_all_methods_as_on_the_first_data_set_at_the_studys_epsilons() -> None:
    study = planned(datasets={"letters": LETTERS, "digits": DIGITS})
    audited = parsed(audited_study(study))
    assert list(audited.datasets) == ["letters"]
    assert audited.epsilons == study.epsilons
    assert {name: audited.method("letters", name) for name in audited.methods} == {
        name: study.method("letters", name) for name in study.methods
    }


def test_audit_is_of_each_method_as_on_the_first_data_set_that_has_it_at_each_epsilon() -> None:
    digits = DIGITS | {"methods": ["dp-sgd"], "overrides_by_epsilon": {10: {"dp-sgd": {"C": 0.5}}}}
    study = planned(datasets={"digits": digits, "letters": LETTERS})
    audited = parsed(audited_study(study))
    assert [(name, audited.methods_on(name)) for name in audited.datasets] == [
        ("digits", ["dp-sgd"]),
        ("letters", ["nonprivate"]),
    ]
    assert [audited.method("digits", "dp-sgd", epsilon).sensitivity() for epsilon in audited.epsilons] == [0.5, 0.1]


def test_audit_is_due_for_other_epsilons_and_not_for_other_seeds() -> None:
    assert audited_study(planned(epsilons=[1])) != audited_study(planned())
    assert audited_study(planned(seeds=[5])) == audited_study(planned())


def test_deviations_are_of_all_methods_under_the_title_of_the_data_set() -> None:
    study = planned()
    narrowed = parsed(trajectory_study(study, "letters"))
    assert narrowed.dataset("letters").title == "Letters"
    for method in study.methods:
        cell = Cell("letters", method, 3.0)
        assert narrowed.spec(cell, seed=7) == study.spec(cell, seed=7)


def test_deviations_are_of_the_data_sets_methods_with_their_settings_by_epsilon() -> None:
    study = with_digits(overrides_by_epsilon=BY_EPSILON)
    narrowed = parsed(trajectory_study(study, "digits"))
    for cell in (cell for cell in study.cells() if cell.dataset == "digits"):
        assert narrowed.spec(cell, seed=7) == study.spec(cell, seed=7)
    assert list(parsed(trajectory_study(with_digits(methods=["dp-sgd"]), "digits")).methods) == ["dp-sgd"]


def test_deviations_are_due_for_another_title_and_not_for_other_probes() -> None:
    assert trajectory_study(with_digits(title="Ziffern"), "digits") != trajectory_study(planned(), "digits")
    assert trajectory_study(with_digits(probe_every_epochs=0), "digits") == trajectory_study(planned(), "digits")


# ------------------------------------------------------------------------------------------------ sweeps


def test_shared_job_has_all_trials_of_its_method() -> None:
    study = planned()
    narrowed = parsed(sweep_study(study, "tuning", "digits", "dp-sgd"))
    assert method_trials(narrowed, "tuning", "digits", "dp-sgd") == study_trials(study)["tuning", "digits", "dp-sgd"]


def test_shared_job_draws_the_trials_of_the_study() -> None:
    ranges = {"dp-sgd": [{"step": [0.01, 1], "C": [0.1, 1]}, {"step": [1, 2]}]}
    drawn = {"tuning": SWEEPS["tuning"] | {"methods": ranges, "trials": [5, 3]}}
    for shared in (True, False):
        study = planned(sweeps=drawn, datasets={"digits": DIGITS | {"share_process": shared}, "letters": LETTERS})
        trials = study_trials(study)["tuning", "digits", "dp-sgd"]
        assert len(trials) == 8
        for trial in trials:
            one = {} if shared else {"settings": trial.name, "epsilon": "3", "seed": "100"}
            narrowed = parsed(sweep_study(study, "tuning", "digits", "dp-sgd", **one))
            expected = trials if shared else [replace(trial, runs=trial.runs[1:])]
            assert method_trials(narrowed, "tuning", "digits", "dp-sgd") == expected


def test_trials_have_the_settings_of_their_epsilon() -> None:
    study = with_digits(overrides_by_epsilon={3: {"dp-sgd": {"C": 0.5}}}, epsilons=[3])
    narrowed = parsed(sweep_study(study, "tuning", "digits", "dp-sgd"))
    found = method_trials(narrowed, "tuning", "digits", "dp-sgd")
    assert found == study_trials(study)["tuning", "digits", "dp-sgd"]
    assert {(run.epsilon, run.parameters["C"]) for trial in found for run in trial.runs} == {(1, 0.1), (3, 0.5)}


@pytest.mark.parametrize("method", ["dp-sgd", "nonprivate"])
def test_job_of_a_single_run_has_that_run_alone(method: str) -> None:
    study = planned()
    for trial in study_trials(study)["longer", "letters", method]:
        for spec in trial.runs:
            one = {"settings": trial.name, "epsilon": format_epsilon(spec.epsilon), "seed": str(spec.seed)}
            narrowed = parsed(sweep_study(study, "longer", "letters", method, **one))
            (found,) = method_trials(narrowed, "longer", "letters", method)
            assert (found.name, found.runs) == (trial.name, (spec,))


def test_run_of_a_sweep_is_not_due_for_another_trial() -> None:
    one = {"settings": "C=0.2,epochs=4", "epsilon": "3", "seed": "0"}
    more = SWEEPS["longer"] | {"seeds": [0, 1, 2], "epsilons": [3, 8], "methods": {"dp-sgd": {"epochs": [4, 16]}}}
    study = planned(sweeps=STUDY["sweeps"] | {"longer": more})
    assert sweep_study(study, "longer", "letters", "dp-sgd", **one) == sweep_study(
        planned(), "longer", "letters", "dp-sgd", **one
    )


def test_shared_job_is_due_for_another_trial() -> None:
    more = SWEEPS["tuning"] | {"seeds": [100, 101]}
    study = planned(sweeps=STUDY["sweeps"] | {"tuning": more})
    assert sweep_study(study, "tuning", "digits", "dp-sgd") != sweep_study(planned(), "tuning", "digits", "dp-sgd")


def test_unknown_sweep_is_named() -> None:
    with pytest.raises(ConfigError, match="no sweep 'wider'"):
        sweep_study(planned(), "wider", "digits", "dp-sgd")
