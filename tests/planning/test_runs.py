"""Runs: where each one's record is kept, and which of them share a job."""

from __future__ import annotations

import pytest
from planned_studies import RESULTS, planned, with_digits

from psasc_bench.planning import job_label, job_runs, job_seeds, run_records, trajectories
from psasc_bench.study import ConfigError


def test_every_run_has_its_record() -> None:
    digits = ["dp-sgd/eps-10", "dp-sgd/eps-0.5", "nonprivate/eps-inf"]
    letters = ["dp-sgd/eps-3", "nonprivate/eps-inf"]
    assert run_records(planned(), RESULTS) == [
        *(f"results/runs/digits/{cell}/seed-{seed}.json" for cell in digits for seed in (0, 1)),
        *(f"results/runs/letters/{cell}/seed-7.json" for cell in letters),
    ]


def test_runs_of_a_data_set_that_is_not_trained_are_not_asked_for() -> None:
    assert {path.split("/")[2] for path in run_records(planned(train=["letters"]), RESULTS)} == {"letters"}
    assert run_records(planned(train=[]), RESULTS) == []


def test_epsilon_with_more_seeds_has_more_records() -> None:
    study = with_digits(share_process=False, more_seeds={10: [5]})
    more = [path for path in run_records(study, RESULTS) if path.endswith("seed-5.json")]
    assert more == ["results/runs/digits/dp-sgd/eps-10/seed-5.json"]


def test_all_seeds_of_a_cell_share_a_job_where_processes_are_dear() -> None:
    study = planned()
    assert job_seeds(study, "digits") == ["seed-0", "seed-1"]
    assert job_label(study, "digits") == "all-seeds"
    names = {f"digits/dp-sgd/eps-10/seed-{seed}" for seed in (0, 1)}
    assert job_runs(study, "digits", method="dp-sgd", epsilon="10") == names


def test_each_run_is_a_job_where_processes_are_cheap() -> None:
    study = planned()
    assert job_seeds(study, "letters") == ["seed-{seed}"]
    assert job_label(study, "letters") == "seed-{seed}"
    names = {"letters/nonprivate/eps-inf/seed-7"}
    assert job_runs(study, "letters", method="nonprivate", epsilon="inf", seed="7") == names


def test_names_of_a_jobs_runs_are_those_of_their_specs() -> None:
    study = planned()
    for cell in study.cells():
        seeds = study.cell_seeds(cell.dataset, cell.epsilon)
        named = job_runs(study, cell.dataset, method=cell.method, epsilon=cell.label, seed="7")
        assert named == {study.spec(cell, seed).name() for seed in seeds}


def test_deviations_are_along_private_runs_alone() -> None:
    assert trajectories(planned(), RESULTS) == [
        *(f"results/deviation/digits/eps-{label}/seed-{seed}.csv" for label in ("0.5", "10") for seed in (0, 1)),
        "results/deviation/letters/eps-3/seed-7.csv",
    ]


def test_deviations_are_along_the_runs_that_are_trained() -> None:
    assert trajectories(planned(train=["letters"]), RESULTS) == ["results/deviation/letters/eps-3/seed-7.csv"]


def test_unknown_data_set_shares_no_job() -> None:
    with pytest.raises(ConfigError, match="no data set 'cifar'"):
        job_seeds(planned(), "cifar")
