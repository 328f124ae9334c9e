"""The commands that train sweeps, choose from them and list them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from sweep_study import STUDY, SWEEP

from psasc_bench import cli, files, records
from psasc_bench.study import RunSpec


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
    assert chosen["datasets"]["digits"] == {
        "tuned": True,
        "methods": ["nonprivate"],
        "overrides": {"nonprivate": {"learning_rate": 0.2}},
    }
    path = swept / "results/sweeps/tuning/learning_rate=0.2/runs/digits/nonprivate/eps-inf/seed-100.json"
    accuracy = records.read(path).result["validation_accuracy"]
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


def test_run_whose_ledger_does_not_hold_is_named_and_counts_as_failed(
    swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = swept / "results/sweeps/tuning/learning_rate=0.2/runs/digits/nonprivate/eps-inf/seed-100.json"
    files.write_text(path, path.read_text().replace('"steps_taken": 5', '"steps_taken": 4'))
    assert cli.main(["tune", "--config", "study.yaml"]) == 0
    assert "eps-inf/seed-100.json is withheld: it took 4 steps where 5 were planned" in capsys.readouterr().err
    assert [line["status"] for line in rows_of(swept / "results" / "tuning.csv")] == ["done", "failed"]
    chosen = yaml.safe_load((swept / "results" / "tuned.yaml").read_text())
    assert chosen["datasets"]["digits"]["overrides"] == {"nonprivate": {"learning_rate": 0.001}}


def test_curve_of_a_run_whose_ledger_does_not_hold_is_withheld(swept: Path) -> None:
    sweep = ["--config", "study.yaml", "--dataset", "digits", "--sweep", "longer"]
    assert cli.main(["train-sweep", *sweep]) == 0
    assert cli.main(["collect-sweeps", "--config", "study.yaml"]) == 0
    assert [row["epoch"] for row in rows_of(swept / "results" / "sweep_curves.csv")] == ["1", "2"]
    path = swept / "results/sweeps/longer/epochs=2/runs/digits/nonprivate/eps-inf/seed-0.json"
    files.write_text(path, re.sub(r'"steps_taken": \d+', '"steps_taken": 9', path.read_text()))
    assert cli.main(["collect-sweeps", "--config", "study.yaml"]) == 0
    assert rows_of(swept / "results" / "sweeps.csv")[-1]["status"] == "failed"
    assert not (swept / "results" / "sweep_curves.csv").read_text().strip()


@pytest.mark.parametrize("command", ["tune", "collect-sweeps"])
def test_accuracy_changed_by_hand_is_refused(command: str, swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = swept / "results/sweeps/tuning/learning_rate=0.2/runs/digits/nonprivate/eps-inf/seed-100.json"
    accuracy = records.read(path).result["validation_accuracy"]
    files.write_text(path, path.read_text().replace(f'_accuracy": {accuracy}', '_accuracy": 0.99'))
    assert cli.main([command, "--config", "study.yaml"]) == 2
    assert "a damaged run record (its curve does not end with its validation_accuracy)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["tune", "collect-sweeps"])
def test_trials_of_a_method_that_fails_the_battery_are_withheld(
    command: str, swept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def fails(spec: RunSpec, checks: Path) -> None:
        asked.append((spec.method, checks))
        raise ValueError("it fails the battery")

    monkeypatch.setattr("psasc_bench.evidence.require_sound", fails)
    status = cli.main([command, "--config", "study.yaml"])
    assert asked == [("nonprivate", Path("results/checks"))]
    assert capsys.readouterr().err.count("seed-100.json is withheld: it fails the battery") == 2
    if command == "tune":
        assert status == 2  # there is nothing to choose from
    else:
        assert [row["status"] for row in rows_of(swept / "results" / "sweeps.csv")] == ["failed", "failed", "missing"]


@pytest.mark.parametrize("command", ["tune", "collect-sweeps"])
def test_study_without_sweeps_is_told_so(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    assert cli.main([command, "--config", str(tmp_path / "study.yaml"), "--output", str(tmp_path)]) == 2
    assert "the study has no sweep to ask for" in capsys.readouterr().err
