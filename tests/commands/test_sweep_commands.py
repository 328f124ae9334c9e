"""The commands that train sweeps, choose from them and list them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from sweep_study import STUDY, SWEEP

from psasc_bench import cli, files, records


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


@pytest.mark.parametrize("command", ["tune", "collect-sweeps"])
def test_study_without_sweeps_is_told_so(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    assert cli.main([command, "--config", str(tmp_path / "study.yaml"), "--output", str(tmp_path)]) == 2
    assert "the study has no sweep to ask for" in capsys.readouterr().err
