"""The commands that prepare, calibrate and train: what they leave behind, and which mistakes they name."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command_calls import Refused, budgets, prepare, train, trained, write_study
from sklearn.datasets import load_digits

from psasc_bench import cli, records
from psasc_bench.privacy import Budget

UNSCALED = "floats from 0 to 255 are not scaled; save bytes as uint8, or divide them by 255"

# ------------------------------------------------------------------------------------------------ what works


def test_one_run_is_trained_recorded_and_collected(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = trained(capsys, *train(study, method="nonprivate", epsilon="inf"))
    path = Path("results", "runs", "digits", "nonprivate", "eps-inf", "seed-0.json")
    made = records.read(tmp_path / path)
    assert printed == f"{path}: done on cpu, test accuracy {made.result['test_accuracy']:.4f}\n"
    assert not [path for path in (tmp_path / "results" / "spool").rglob("*") if path.is_file()]
    trained(capsys, "collect", "--config", study)
    assert f"{100 * made.result['test_accuracy']:.2f}" in (tmp_path / "results" / "README.md").read_text()


def test_private_run_is_calibrated_from_the_command_line(
    study: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(capsys, *train(study, "--data", prepared, "--seed", "3"))
    ledger = records.read(tmp_path / "results" / "runs" / "digits" / "dp-sgd" / "eps-8" / "seed-3.json").ledger
    assert ledger["noise_multiplier"] > 0
    assert ledger["accountant"] == "pld"
    assert ledger["epsilon_pld"] <= 8 < ledger["epsilon_rdp"]  # by the looser one


def test_budgets_are_written_for_every_epsilon(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(capsys, *budgets(prepared, "b/eps-3.json", "b/eps-inf.json"))
    three, none = (Budget.from_json(json.loads(Path(f"b/eps-{label}.json").read_text())) for label in ("3", "inf"))
    assert (three.epsilon, none.epsilon) == (3, math.inf)
    assert three.noise_multiplier > none.noise_multiplier == 0
    assert three.steps == none.steps == 6


@pytest.mark.parametrize(("delta", "warned"), [(1 / 1437, True), (6.9e-4, False)])
def test_delta_of_one_over_the_examples_or_more_is_warned_of(
    delta: float,
    warned: bool,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([str(argument) for argument in budgets(prepared, "eps-inf.json", delta=delta)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("psasc-bench: warning: datasets.digits.delta: ") for line in lines] == [True] * warned


@pytest.fixture
def unscaled(tmp_path: Path) -> Path:
    """The digits as floats from 0 to 255, in an npz."""
    digits = load_digits()
    images = digits.images * (255 / 16)
    parts = {"train": slice(20), "test": slice(20, 30)}
    arrays = {
        f"{key}_{part}": of[cut] for part, cut in parts.items() for key, of in (("x", images), ("y", digits.target))
    }
    np.savez(tmp_path / "own.npz", **arrays)
    return tmp_path / "own.npz"


@pytest.mark.usefixtures("study")
def test_odd_data_is_prepared_with_a_warning(unscaled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(argument) for argument in prepare("--path", unscaled)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"psasc-bench: warning: {unscaled}: {part}: {UNSCALED}" for part in ("x_train", "x_test")]
    assert Path("prepared.npz").exists()


def test_odd_data_is_trained_on_with_a_warning_where_it_is_prepared(
    study: Path, unscaled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(study, source="npz", path=str(unscaled), expected_batch_size=10)
    command = [str(argument) for argument in train(study, method="nonprivate", epsilon="inf")]
    assert cli.main(command) == 0
    assert capsys.readouterr().err.startswith(f"psasc-bench: warning: {unscaled}: x_train: {UNSCALED}\n")
    assert cli.main(command) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("study")
def test_data_set_is_looked_for_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setenv("PSASC_BENCH_DATA", str(tmp_path / "elsewhere"))
    (line,) = refused(*prepare(source="mnist"))
    assert line.startswith(f"{tmp_path / 'elsewhere'}")
    assert f"psasc-bench download mnist --data-root {tmp_path / 'elsewhere'}" in line


@pytest.mark.parametrize("source", ["mnist", "npz"])
def test_another_source_under_the_same_name_is_not_what_was_prepared_before(
    source: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refused: Refused,
) -> None:
    monkeypatch.setenv("PSASC_BENCH_DATA", str(tmp_path / "empty"))
    trained(capsys, *train(study, method="nonprivate", epsilon="inf"))
    absent = {"path": str(tmp_path / "absent.npz")} if source == "npz" else {}
    other = write_study(Path("other.yaml"), source=source, **absent)
    (line,) = refused(*train(other, method="nonprivate", epsilon="inf"))
    assert "absent.npz" in line if absent else "psasc-bench download mnist" in line


# ------------------------------------------------------------------------------------------------ mistakes in a command


def test_method_that_the_study_has_not_is_refused_with_those_it_has(study: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, method="dp-psasc"))
    assert line == "methods: no method 'dp-psasc'; there are: dp-sgd, nonprivate"


def test_data_set_that_the_study_has_not_is_refused_with_those_it_has(study: Path, refused: Refused) -> None:
    (line,) = refused("train", "--config", study, "--dataset", "mnist", "--method", "dp-sgd", "--epsilon", "8")
    assert line == "datasets: no data set 'mnist'; there are: digits"


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "1e-4"])
def test_impossible_epsilon_is_refused(epsilon: str, study: Path, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, "--data", prepared, epsilon=epsilon))
    assert "epsilon" in line
    assert not Path("results").exists()


def test_unreachable_epsilon_is_refused_among_budgets(prepared: Path, refused: Refused) -> None:
    (line,) = refused(*budgets(prepared, "eps-0.0001.json"))
    assert line.startswith("epsilon 0.0001 is out of reach at delta 0.0001")


def test_non_private_method_at_a_finite_epsilon_is_refused(study: Path, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, "--data", prepared, method="nonprivate"))
    assert line.startswith("no noise gives privacy here")
    assert not list(Path("results/runs").rglob("*.json"))


def test_batch_larger_than_the_data_set_is_refused_by_key(study: Path, prepared: Path, refused: Refused) -> None:
    write_study(study, expected_batch_size=1438)
    (line,) = refused(*train(study, "--data", prepared))
    assert line.startswith("expected_batch_size 1438 is larger than the 1437 training examples of digits")
    assert "datasets.digits.expected_batch_size" in line


@pytest.mark.parametrize("model", ["resnet", "mnist_cnn", "cifar_cnn"])
def test_model_that_does_not_exist_or_fit_is_refused_by_key(model: str, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*budgets(prepared, "eps-8.json", model=model))
    assert line.startswith("datasets.digits.model: ")
    assert model in line


@pytest.mark.parametrize("output", ["file/runs", "file"])
def test_output_that_cannot_be_written_is_named(output: str, study: Path, prepared: Path, refused: Refused) -> None:
    Path("file").write_text("in the way")
    (line,) = refused(*train(study, "--data", prepared, "--runs", output, method="nonprivate", epsilon="inf"))
    assert "file" in line
