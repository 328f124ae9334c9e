"""What jobs ask of a cluster: batches of some minutes, and the time that runs have been seen to take."""

from __future__ import annotations

from pathlib import Path

import pytest
from planned_studies import planned, with_digits, write_record

from psasc_bench.planning import allowed_rules, job_minutes, jobs_in_a_batch, run_seconds
from psasc_bench.study import Cell, ConfigError

CELL = Cell("digits", "dp-sgd", 10.0)


def test_run_takes_the_median_of_those_that_are_there(tmp_path: Path) -> None:
    study = with_digits(share_process=False, more_seeds={10: [5]})
    for seed, seconds in ((0, 2.0), (1, 3.0), (5, 50.0)):
        write_record(study, tmp_path, CELL, seed=seed, seconds={"total": seconds})
    assert run_seconds(study, "digits", [tmp_path]) == 3.0


def test_run_that_ended_early_says_nothing_of_how_long_one_takes(tmp_path: Path) -> None:
    study = with_digits(share_process=False, more_seeds={10: [5, 6]})
    write_record(study, tmp_path, CELL, seed=0, seconds={"total": 2.0})
    early = {"result": {"test_accuracy": None, "test_loss": None}, "seconds": {"total": 0.01}, "reason": "at step 1"}
    for seed, status in ((1, "failed"), (5, "diverged"), (6, "failed")):
        write_record(study, tmp_path, CELL, seed=seed, status=status, **early)
    assert run_seconds(study, "digits", [tmp_path]) == 2.0


def test_own_records_go_before_those_of_other_places_and_data_sets(tmp_path: Path) -> None:
    study, letters = planned(), Cell("letters", "dp-sgd", 3.0)
    write_record(study, tmp_path / "shipped", CELL, seed=0, seconds={"total": 8.0})
    places = [tmp_path / "own", tmp_path / "shipped"]
    assert run_seconds(study, "letters", places) == pytest.approx(12.0)  # of the same model, in 3 epochs instead of 2
    write_record(study, tmp_path / "shipped", letters, seed=7, seconds={"total": 6.0})
    assert run_seconds(study, "letters", places) == 6.0
    write_record(study, tmp_path / "own", CELL, seed=0, seconds={"total": 2.0})
    assert run_seconds(study, "letters", places) == pytest.approx(3.0)


def test_of_another_model_or_of_nothing_nothing_is_known(tmp_path: Path) -> None:
    write_record(planned(), tmp_path, CELL, seed=0)
    assert run_seconds(with_digits(model="logistic"), "digits", [tmp_path]) is None
    assert run_seconds(planned(), "digits", [tmp_path / "nowhere"]) is None


def test_file_that_is_no_record_is_left_to_who_surveys(tmp_path: Path) -> None:
    write_record(planned(), tmp_path, CELL, seed=0, seconds={"total": 2.0})
    broken = tmp_path / "digits" / "dp-sgd" / "eps-10" / "seed-1.json"
    broken.write_text("no record")
    assert run_seconds(planned(), "digits", [tmp_path]) == 2.0


def test_data_set_has_to_be_the_studys() -> None:
    with pytest.raises(ConfigError, match="no data set 'cats'"):
        run_seconds(planned(), "cats", [])


@pytest.mark.parametrize(
    ("seconds", "runs", "jobs"), [(6, 5, 8), (56, 1, 5), (299, 1, 1), (7200, 1, 1), (0.1, 2, 71), (1e-320, 1, 75)]
)
def test_batch_takes_five_minutes_or_is_one_job(seconds: float, runs: int, jobs: int) -> None:
    assert jobs_in_a_batch(seconds, runs=runs) == jobs


def test_jobs_of_unknown_length_go_one_by_one_with_half_a_day() -> None:
    assert jobs_in_a_batch(None, runs=2) == 1
    assert job_minutes(None, runs=2, attempt=1) == 720


def test_job_asks_for_several_times_what_its_runs_take_and_for_more_when_tried_again() -> None:
    assert [job_minutes(60, runs=5, attempt=attempt) for attempt in (1, 2, 3)] == [22, 44, 66]


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        (["snakemake", "--cores", "8", "results/README.md"], []),
        (["snakemake", "--allowed-rules", "train_digits", "sweep_a", "--cores", "all"], ["train_digits", "sweep_a"]),
        (["snakemake", "--allowed-rules"], []),
    ],
)
def test_rules_of_a_jobs_process_are_on_its_command_line(arguments: list[str], rules: list[str]) -> None:
    assert allowed_rules(arguments) == rules
