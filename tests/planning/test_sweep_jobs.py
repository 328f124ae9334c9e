"""Sweeps: where the records of their trials are kept, which of them share a job, and which budgets they need."""

from __future__ import annotations

import pytest
from planned_studies import DIGITS, LETTERS, RESULTS, SWEEPS, all_trials, planned

from psasc_bench.planning import job_trials, job_trials_label, study_trials, sweep_budgets, sweep_records
from psasc_bench.study import Study

TUNED = [f"results/sweeps/tuning/learning_rate={rate}/runs/digits/dp-sgd" for rate in ("0.5", "1")]


def records(study: Study, *, chosen_from: bool = False) -> list[str]:
    return sweep_records(study, RESULTS, all_trials(study), chosen_from=chosen_from)


def test_trials_are_found_by_sweep_data_set_and_method() -> None:
    trials = study_trials(planned())
    assert list(trials) == [
        ("tuning", "digits", "dp-sgd"),
        ("longer", "letters", "dp-sgd"),
        ("longer", "letters", "nonprivate"),
    ]
    assert [trial.name for trial in trials["longer", "letters", "dp-sgd"]] == ["C=0.2,epochs=4", "C=0.2,epochs=8"]


def test_study_without_sweeps_has_no_trials() -> None:
    study = planned(sweeps={})
    assert study_trials(study) == {}
    assert records(study) == []


def test_records_are_those_of_all_sweeps_or_of_those_that_settings_are_chosen_from() -> None:
    study = planned()
    tuning = [f"{folder}/eps-{label}/seed-100.json" for folder in TUNED for label in ("1", "3")]
    assert records(study, chosen_from=True) == tuning
    longer = [
        "C=0.2,epochs=4/runs/letters/dp-sgd/eps-3",
        "C=0.2,epochs=8/runs/letters/dp-sgd/eps-3",
        "learning_rate=0.1/runs/letters/nonprivate/eps-inf",
    ]
    shown = [f"results/sweeps/longer/{cell}/seed-{seed}.json" for cell in longer for seed in (0, 1)]
    assert records(study) == [*tuning, *shown]
    assert records(planned(sweeps=SWEEPS | {"tuning": SWEEPS["tuning"] | {"choose": False}}), chosen_from=True) == []


def test_sweeps_of_data_sets_that_are_not_trained_are_planned_but_not_asked_for() -> None:
    study = planned(train=["letters"])
    assert ("tuning", "digits", "dp-sgd") in study_trials(study)
    assert records(study, chosen_from=True) == []
    assert records(study)


def test_trials_need_a_budget_for_each_schedule_and_epsilon() -> None:
    study = planned()
    trials = study_trials(study)
    prepared = study.prepared("digits").stem  # both data sets are made from the same
    tuning = f"results/budgets/digits/{prepared}/digits_cnn_batch-256_epochs-2_delta-0.0001_validation"
    assert sweep_budgets(study, RESULTS, trials["tuning", "digits", "dp-sgd"]) == [
        f"{tuning}/eps-1.json",
        f"{tuning}/eps-3.json",
    ]
    longer = f"results/budgets/letters/{prepared}/digits_cnn_batch-256"
    assert sweep_budgets(study, RESULTS, trials["longer", "letters", "dp-sgd"]) == [
        f"{longer}_epochs-{epochs}_delta-0.0001/eps-3.json" for epochs in (4, 8)
    ]


def test_all_trials_of_a_method_share_a_job_where_processes_are_dear() -> None:
    study, key = planned(), ("tuning", "digits", "dp-sgd")
    shared = job_trials(study, RESULTS, *key, trials=study_trials(study)[key])
    assert shared == [f"{folder}/eps-{label}/seed-100" for folder in TUNED for label in ("1", "3")]
    assert job_trials_label(study, "digits") == "all-trials"


def test_each_trial_is_a_job_where_processes_are_cheap() -> None:
    study, key = planned(), ("longer", "letters", "dp-sgd")
    (any_one,) = job_trials(study, RESULTS, *key, trials=study_trials(study)[key])
    assert any_one == "results/sweeps/longer/{settings}/runs/letters/dp-sgd/eps-{epsilon}/seed-{seed}"
    assert job_trials_label(study, "letters") == "{settings}/eps-{epsilon}/seed-{seed}"


@pytest.mark.parametrize("shared", [True, False])
def test_a_sweeps_records_are_what_its_jobs_write(shared: bool) -> None:
    datasets = {"digits": DIGITS | {"share_process": shared}, "letters": LETTERS}
    study, key = planned(datasets=datasets), ("tuning", "digits", "dp-sgd")
    trials = study_trials(study)[key]
    wildcards = [
        {"settings": trial.name, "epsilon": f"{spec.epsilon:g}", "seed": str(spec.seed)}
        for trial in trials
        for spec in trial.runs
    ]
    outputs = {run.format(**one) for run in job_trials(study, RESULTS, *key, trials=trials) for one in wildcards}
    assert {f"{run}.json" for run in outputs} == set(records(study, chosen_from=True))
