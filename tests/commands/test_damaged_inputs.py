"""Arrays, prepared data and budgets that are damaged or of something else: each is refused by file name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_calls import Refused, budgets, prepare, train, trained

from psasc_bench import cli
from psasc_bench.data import Dataset
from psasc_bench.privacy import Budget


def arrays(**changes: Any) -> dict[str, Any]:
    """Eight images of each part, and what is to be wrong with them."""
    images, labels = np.zeros((8, 1, 8, 8), np.uint8), np.arange(8)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels} | changes


WRONG = {
    "labels of another number": arrays(y_train=np.arange(7)),
    "images without a shape": arrays(x_train=np.zeros(8, np.uint8)),
    "images of unlike shape": arrays(x_test=np.zeros((8, 1, 9, 9), np.uint8)),
    "NaN pixels": arrays(x_train=np.full((8, 1, 8, 8), np.nan)),
    "labels that are no classes": arrays(y_test=np.linspace(0, 1, 8)),
    "a part missing": {"x_train": np.zeros((8, 1, 8, 8), np.uint8)},
    "python objects": arrays(y_train=np.array([None] * 8)),
}


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_wrong_npz_is_refused_by_file_name(wrong: dict[str, Any], refused: Refused) -> None:
    np.savez("mine.npz", **wrong)
    (line,) = refused(*prepare("--path", "mine.npz"))
    assert line.startswith("mine.npz: ")
    assert not Path("prepared.npz").exists()


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("option", "value"),
    [("--mean", "nan"), ("--mean", "inf"), ("--deviation", "0"), ("--deviation", "-1"), ("--deviation", "nan")],
)
def test_constant_that_would_spoil_the_images_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    constants = {"--mean": "0", "--deviation": "1"} | {option: value}
    given = [text for item in constants.items() for text in item]
    with pytest.raises(SystemExit):
        cli.main([str(argument) for argument in prepare("--path", "mine.npz", *given)])
    assert f"psasc-bench prepare: error: argument {option}: must be a finite number" in capsys.readouterr().err


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("label", [-1, 10])
def test_label_that_the_model_has_no_class_for_is_refused(
    label: int, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("mine.npz", **arrays(y_train=np.full(8, label)))
    assert cli.main([str(argument) for argument in prepare("--path", "mine.npz")]) == 0
    assert capsys.readouterr().out == "psasc-bench: wrote prepared.npz\n"
    (line,) = refused(*budgets("prepared.npz", "eps-8.json", **{"expected-batch-size": 4}))
    assert "y_train" in line
    assert str(label) in line


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_prepared_file_cut_short_is_refused_by_name(
    share: float, study: Path, prepared: Path, tmp_path: Path, refused: Refused
) -> None:
    whole = prepared.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
    (line,) = refused(*train(study, "--data", "cut.npz"))
    assert line.startswith("cut.npz: ")


UNPREPARED = {
    "labels that are text": {"y_train": np.array(["a"] * 8)},
    "one label": {"y_train": np.array(3)},
    "one pixel": {"x_train": np.array(3.0, np.float32)},
    "pixels that are text": {"x_train": np.full((8, 1, 8, 8), "a")},
    "no image": {"x_train": np.zeros((0, 1, 8, 8), np.uint8), "y_train": np.zeros(0, np.int64)},
    "constants that are text": {"scale": np.array(["a"])},
    "constants of more channels": {"offset": np.zeros(3, np.float32)},
    "notes that are a list": {"notes": np.array("[1]")},
    "notes that are text": {"notes": np.array('"ab"')},
    "notes that are no JSON": {"notes": np.array("{")},
    "notes of something else": {"notes": np.array('{"bogus": "1"}')},
    "notes that are numbers": {"notes": np.array('{"sha256": 3}')},
}


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("wrong", UNPREPARED.values(), ids=list(UNPREPARED))
def test_hand_made_prepared_file_is_refused_by_name(wrong: dict[str, Any], refused: Refused) -> None:
    constants = {"offset": np.zeros(1, np.float32), "scale": np.ones(1, np.float32)}
    np.savez("mine.npz", **(arrays() | constants | wrong))
    (line,) = refused(*budgets("mine.npz", "eps-8.json", **{"expected-batch-size": 4}))
    assert line.startswith(f"mine.npz: {'its notes are' if 'notes' in wrong else next(iter(wrong)) + ' is'} ")
    assert line.endswith("; `psasc-bench prepare` makes it")


def write_budget(path: Path, digits: Dataset, **changes: Any) -> Path:
    examples = len(digits.y_train)
    values = {
        "epsilon": 8.0,
        "accountant": "pld",
        "delta": 1e-4,
        "sampling_rate": 256 / examples,
        "steps": 6,
        "noise_multiplier": 1.0,
        "epsilon_rdp": 8.0,
        "epsilon_pld": 7.5,
    }
    path.write_text(json.dumps(Budget(**(values | changes)).to_json()))
    return path


def test_budget_of_the_very_schedule_is_taken(
    study: Path, prepared: Path, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(capsys, *train(study, "--data", prepared, "--budget", write_budget(Path("budget.json"), digits)))


@pytest.mark.parametrize("change", [{"steps": 5}, {"epsilon": 3.0}, {"delta": 1e-5}, {"sampling_rate": 0.1}], ids=str)
def test_budget_of_another_schedule_is_refused(
    change: dict[str, Any], study: Path, prepared: Path, digits: Dataset, refused: Refused
) -> None:
    budget = write_budget(Path("budget.json"), digits, **change)
    (line,) = refused(*train(study, "--data", prepared, "--budget", budget))
    assert line.startswith(f"the budget was calibrated for {next(iter(change))} ")
    assert not list(Path("results/runs").rglob("*.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"epsilon": 8, "clip": 1}'])
def test_damaged_budget_is_refused_by_name(text: str, study: Path, prepared: Path, refused: Refused) -> None:
    Path("budget.json").write_text(text)
    (line,) = refused(*train(study, "--data", prepared, "--budget", "budget.json"))
    assert line.startswith("budget.json: not a privacy budget")


@pytest.mark.parametrize("value", ["much", None, math.nan, -1.0, math.inf], ids=repr)
def test_budget_with_an_impossible_noise_multiplier_is_refused(
    value: Any, study: Path, prepared: Path, digits: Dataset, refused: Refused
) -> None:
    values = json.loads(write_budget(Path("budget.json"), digits).read_text())
    Path("budget.json").write_text(json.dumps(values | {"noise_multiplier": value}))
    (line,) = refused(*train(study, "--data", prepared, "--budget", "budget.json"))
    assert line.startswith("budget.json: not a privacy budget (noise_multiplier ")
