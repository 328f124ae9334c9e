"""Sweeps: which trials a grid has, that tuning sees no test example, and that the best trial is chosen."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from psasc_bench import cli, files
from psasc_bench.analysis import sweeps
from psasc_bench.data import dataset as data
from psasc_bench.data.dataset import Dataset
from psasc_bench.privacy.accounting import Budget
from psasc_bench.records import record
from psasc_bench.study import config
from psasc_bench.study.spec import RunSpec
from psasc_bench.study.study import ConfigError, Study
from psasc_bench.study.trials import method_trials, sweep_trials
from psasc_bench.training import runner
from psasc_bench.training.loop import train

SWEEP: dict[str, Any] = {
    "evaluation": "validation",
    "datasets": ["digits"],
    "epsilons": [3],
    "seeds": [100, 101],
    "methods": {
        "dp-sgd": {"learning_rate": [0.2, 0.4], "C": [0.05, 0.1]},
        "dp-psasc": {"learning_rate": [0.2, 0.4], "s": [0.5, 2], "sensitivity": 0.1},
    },
}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [1, 8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}, "nonprivate": {}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 0.5,
            "momentum": 0.9,
        }
    },
}
CPU = torch.device("cpu")


def study(**changes: Any) -> Study:
    """The study above with one sweep, of which some values are changed."""
    return config.parse_study(STUDY | {"sweeps": {"tuning": SWEEP | changes}}, source="study.yaml")


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
    given = config.parse_study(values | {"sweeps": {"tuning": SWEEP}}, source="study.yaml")
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
    plain = config.parse_study(STUDY, source="study.yaml")
    assert list(study().cells()) == list(plain.cells())
    assert all(study().spec(cell, 0) == plain.spec(cell, 0) for cell in plain.cells())


def test_no_two_runs_of_a_sweep_share_a_file() -> None:
    found = [trial.folder(Path()) / spec.name() for trial in sweep_trials(study(), ["tuning"]) for spec in trial.runs]
    assert len(set(found)) == len(found) == 2 * 4 * 2


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
    with pytest.raises(ConfigError, match=r"sweeps\.more\.datasets: digits is tuned by sweeps\.tuning already"):
        config.parse_study(STUDY | {"sweeps": {"tuning": SWEEP, "more": SWEEP}}, source="study.yaml")


def test_asking_for_another_sweep_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no sweep 'tunning'; there are: tuning"):
        method_trials(study(), "tunning", "digits", "dp-sgd")


# ------------------------------------------------------------------------------------------------ what tuning sees


class Untouchable:
    """Stands for arrays that must not be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError("the test set was looked at")

    __array__ = __len__ = __getitem__ = __iter__ = __getattribute__  # type: ignore[assignment]


@pytest.fixture
def without_test_set(digits: Dataset) -> Dataset:
    return dataclasses.replace(digits, x_test=Untouchable(), y_test=Untouchable())


@pytest.fixture
def validation_spec(digits_spec: Callable[..., RunSpec]) -> RunSpec:
    return digits_spec(method="nonprivate", parameters={}, epsilon=math.inf, evaluation="validation", epochs=2)


def budget(spec: RunSpec, examples: int) -> Budget:
    return Budget(
        epsilon=spec.epsilon,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(examples),
        steps=spec.epoch_ends(examples)[-1],
        noise_multiplier=0.0,
        epsilon_rdp=math.inf,
        epsilon_pld=math.inf,
    )


def test_tuning_run_does_not_look_at_the_test_set(
    without_test_set: Dataset, validation_spec: RunSpec, tmp_path: Path
) -> None:
    examples = len(data.hold_out(without_test_set).y_train)
    made = runner.train_run(
        validation_spec,
        without_test_set,
        budget(validation_spec, examples),
        runs=tmp_path / "runs",
        micro_batch_size=320,
        device=CPU,
    )
    assert set(made.result) == {"validation_accuracy", "validation_loss"}
    assert made.ledger["steps_taken"] == round(2 * examples / 256)


def test_run_on_the_test_set_would_be_found_out(without_test_set: Dataset, validation_spec: RunSpec) -> None:
    """The planted leak: the same run, evaluated on the test set."""
    spec = dataclasses.replace(validation_spec, evaluation="test")
    with pytest.raises(AssertionError, match="the test set was looked at"):
        train(spec, without_test_set, budget(spec, 1437), micro_batch_size=320, device=CPU)


def test_tuning_run_equals_a_run_on_the_held_out_split(digits: Dataset, validation_spec: RunSpec) -> None:
    split = data.hold_out(digits)
    tuning = train(
        validation_spec, digits, budget(validation_spec, len(split.y_train)), micro_batch_size=320, device=CPU
    )
    spec = dataclasses.replace(validation_spec, evaluation="test")
    plain = train(spec, split, budget(spec, len(split.y_train)), micro_batch_size=320, device=CPU)
    assert torch.equal(tuning.parameters, plain.parameters)
    assert tuning.curve[-1]["validation_accuracy"] == plain.curve[-1]["test_accuracy"]


def test_budget_of_the_whole_training_set_is_refused_in_tuning(digits: Dataset, validation_spec: RunSpec) -> None:
    with pytest.raises(ValueError, match="calibrated for sampling_rate"):
        train(validation_spec, digits, budget(validation_spec, len(digits.y_train)), micro_batch_size=320, device=CPU)


def test_examples_are_held_out_by_the_data_set_alone(digits: Dataset) -> None:
    """A sixth; none of them trained on; the same whenever asked, whatever the test set, the labels and the pixels."""
    numbered = dataclasses.replace(digits, y_train=np.arange(len(digits.y_train)))
    split = data.hold_out(numbered)
    assert sorted([*split.y_train, *split.y_test]) == list(range(1437))
    assert len(split.y_test) == 1437 - round(1437 * 5 / 6)
    other = dataclasses.replace(numbered, x_train=255 - numbered.x_train, x_test=digits.x_test[:1])
    assert np.array_equal(data.hold_out(other).y_test, split.y_test)


# ------------------------------------------------------------------------------------------------ what is chosen


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


# ------------------------------------------------------------------------------------------------ on the command line


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the tuning of a method without privacy has been trained: no accountant need be loaded."""
    grid = {"learning_rate": [0.001, 0.2]}
    tuning = SWEEP | {"seeds": [100], "methods": {"nonprivate": grid}}
    ablation = SWEEP | {"seeds": [0], "methods": {"nonprivate": {"epochs": 2}}, "evaluation": "test"}
    values = STUDY | {"sweeps": {"tuning": tuning, "longer": ablation}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train-sweep", "--config", "study.yaml", "--dataset", "digits", "--sweep", "tuning"]) == 0
    return tmp_path


def rows_of(path: Path) -> list[Mapping[str, str]]:
    header, *lines = path.read_text().splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def test_tuning_writes_table_and_choice(swept: Path) -> None:
    assert cli.main(["tune", "--config", "study.yaml"]) == 0
    chosen = yaml.safe_load((swept / "results" / "tuned.yaml").read_text())
    assert chosen["datasets"]["digits"]["overrides"] == {"nonprivate": {"learning_rate": 0.2}}
    path = swept / "results/sweeps/tuning/learning_rate=0.2/runs/digits/nonprivate/eps-inf/seed-100.json"
    accuracy = record.read(path).result["validation_accuracy"]
    assert [line["accuracy"] for line in rows_of(swept / "results" / "tuning.csv")][1] == str(accuracy)


def test_table_of_all_sweeps_names_what_is_missing(swept: Path) -> None:
    assert cli.main(["collect-sweeps", "--config", "study.yaml"]) == 0
    keys = ("sweep", "evaluation", "status", "learning_rate", "epochs", "seed")
    assert [tuple(line[key] for key in keys) for line in rows_of(swept / "results" / "sweeps.csv")] == [
        ("tuning", "validation", "done", "0.001", "1", "100"),
        ("tuning", "validation", "done", "0.2", "1", "100"),
        ("longer", "test", "missing", "0.5", "2", "0"),
    ]


def test_finished_trials_are_left_alone(swept: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (swept / "results" / "sweeps").rglob("*.json")}
    assert len(before) == 2
    assert cli.main(["train-sweep", "--config", "study.yaml", "--dataset", "digits", "--sweep", "tuning"]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in (swept / "results" / "sweeps").rglob("*.json")}


def test_nothing_is_written_from_a_run_whose_ledger_does_not_hold(
    swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next((swept / "results" / "sweeps").rglob("*.json"))
    files.write_text(path, path.read_text().replace('"steps_taken": 5', '"steps_taken": 4'))
    assert cli.main(["tune", "--config", "study.yaml"]) == 2
    assert "it took 4 steps where 5 were planned" in capsys.readouterr().err
    assert not (swept / "results" / "tuned.yaml").exists()


@pytest.mark.parametrize("command", ["tune", "collect-sweeps"])
def test_study_without_sweeps_is_told_so(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    assert cli.main([command, "--config", str(tmp_path / "study.yaml"), "--output", str(tmp_path)]) == 2
    assert "the study has no sweep to ask for" in capsys.readouterr().err
