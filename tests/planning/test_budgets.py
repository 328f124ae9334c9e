"""Budgets: each schedule has its own, in files whose names say all that they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from planned_studies import RESULTS, all_trials, from_npz, planned, with_digits

from psasc_bench.planning import budget_file, budget_labels, schedules
from psasc_bench.study import ConfigError


def test_labels_are_in_the_order_of_numbers_with_that_of_no_privacy_last() -> None:
    assert budget_labels(planned(), "digits") == ["0.5", "10", "inf"]


def test_labels_are_those_of_the_data_set() -> None:
    assert budget_labels(planned(), "letters") == ["3", "inf"]
    assert budget_labels(planned(methods={"dp-sgd": {"C": 0.1}}, sweeps={}), "letters") == ["3"]


def test_study_without_sweeps_has_a_schedule_for_each_data_set() -> None:
    wanted = {("digits", 2, "test"): ["0.5", "10", "inf"], ("letters", 3, "test"): ["3", "inf"]}
    assert schedules(planned(), []) == wanted


def test_sweeps_add_schedules_and_epsilons_to_those_of_the_study() -> None:
    longer = planned().model_dump(mode="json")["sweeps"]["longer"] | {"epsilons": [10, 3]}
    longer["methods"] = {"dp-sgd": {"epochs": [3, 8]}}
    tuning = planned().model_dump(mode="json")["sweeps"]["tuning"]
    study = planned(sweeps={"tuning": tuning, "longer": longer})
    assert schedules(study, all_trials(study)) == {
        ("digits", 2, "test"): ["0.5", "10", "inf"],
        ("letters", 3, "test"): ["3", "10", "inf"],
        ("digits", 2, "validation"): ["1", "3"],
        ("letters", 8, "test"): ["3", "10"],
    }


def test_budget_file_names_the_schedule() -> None:
    study = planned()
    folder = f"results/budgets/digits/{study.prepared('digits').stem}/digits_cnn_batch-256"
    assert budget_file(study, RESULTS, "digits") == f"{folder}_epochs-2_delta-0.0001/eps-{{epsilon}}.json"
    assert budget_file(study, RESULTS, "digits", epochs=9, evaluation="validation") == (
        f"{folder}_epochs-9_delta-0.0001_validation/eps-{{epsilon}}.json"
    )


def test_budget_file_lies_in_the_results_folder_that_is_given() -> None:
    assert budget_file(planned(), Path("/else/where"), "digits").startswith("/else/where/budgets/digits/digits-")


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_batch_size": 128},
        {"epochs": 7},
        {"delta": 1e-5},
        {"delta": 1.0000001e-4},
        {"model": "mnist_cnn"},
        {"accountant": "pld"},
    ],
    ids=str,
)
def test_what_a_budget_is_made_from_is_in_its_name(changes: dict[str, float]) -> None:
    assert budget_file(with_digits(**changes), RESULTS, "digits") != budget_file(planned(), RESULTS, "digits")


def test_other_data_in_the_same_file_has_other_budgets(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(b"some")
    before = budget_file(from_npz(path), RESULTS, "own")
    path.write_bytes(b"other")
    assert budget_file(from_npz(path), RESULTS, "own") != before


def test_data_that_is_not_there_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"datasets\.own\.path: .*absent\.npz: cannot be read"):
        budget_file(from_npz(tmp_path / "absent.npz"), RESULTS, "own")
