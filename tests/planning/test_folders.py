"""Where a study is kept: the shipped one in the project, any other in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from psasc_bench.planning import folder_of, place, study_folder, write_up
from psasc_bench.study import parse_study

ROOT = Path(__file__).parents[2]
MINE: dict[str, Any] = {"methods": {"dp-sgd": {}}, "datasets": {"mnist": {}}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, as far as its study goes, with a study of one's own in it."""
    project = tmp_path / "clone"
    shutil.copytree(ROOT / "config", project / "config")
    (project / "mine.yaml").write_text(yaml.safe_dump(MINE))
    monkeypatch.chdir(project)
    return project


def shipped() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))


def folder(values: dict[str, Any], project: Path, *files: str) -> Path:
    return study_folder(parse_study(values, source="study"), [Path(file) for file in files], project=project)


def test_shipped_study_is_kept_in_the_project(project: Path) -> None:
    assert folder(shipped(), project) == project
    assert folder_of(Path("config", "config.yaml"), project=project) == project


def test_shipped_study_stays_itself_whichever_data_sets_are_trained_and_wherever_they_are(project: Path) -> None:
    assert folder(shipped() | {"train": ["mnist"], "data_root": "/data"}, project) == project


@pytest.mark.parametrize(
    "changes", [{"seeds": [0]}, {"epsilons": [1, 3]}, {"methods": {"dp-sgd": {"C": 0.1}}}], ids=str
)
def test_shipped_study_with_a_change_is_another(changes: dict[str, Any], project: Path) -> None:
    values = shipped() | changes | ({"sweeps": {}} if "methods" in changes else {})
    for dataset in values["datasets"].values():
        dataset["overrides"] = {} if "methods" in changes else dataset["overrides"]
    assert folder(values, project, "config/config.yaml") == project / "studies" / "config"


def test_own_study_is_kept_under_the_name_of_its_file_or_its_own(project: Path) -> None:
    assert folder(MINE, project, "deep/my_study.yaml") == project / "studies" / "my_study"
    assert folder(MINE | {"name": "other-name"}, project, "my_study.yaml") == project / "studies" / "other-name"
    assert folder(MINE, project, "config/config.yaml", "tuned.yaml") == project / "studies" / "tuned"


def test_copy_of_the_shipped_study_under_another_name_is_the_shipped_study(project: Path) -> None:
    assert folder(shipped(), project, "copy.yaml") == project


def test_folder_that_ships_no_study_keeps_nothing_apart(tmp_path: Path) -> None:
    assert folder(MINE, tmp_path, "mine.yaml") == tmp_path


def test_paths_of_an_own_study_are_below_the_project_that_it_is_started_from(project: Path) -> None:
    (project / "mine.npz").write_bytes(b"some")
    own = {"source": "npz", "path": "mine.npz", "title": "Mine", "model": "mnist_cnn", "expected_batch_size": 8}
    own |= {"micro_batch_size": 8, "epochs": 1, "delta": 1e-5, "learning_rate": 1, "momentum": 0, "sensitivity": 1}
    values = MINE | {"datasets": {"mine": own}}
    where, placed = place(values, [Path("mine.yaml")], project=project, directory=None)
    assert where == project / "studies" / "mine"
    assert placed["datasets"]["mine"]["path"] == str(project / "mine.npz")
    assert placed["data_root"] == str(project / "data")
    assert parse_study(placed, source="placed").spec is not None


def test_folder_that_the_user_gives_is_used_as_it_is(project: Path, tmp_path: Path, monkeypatch: Any) -> None:
    elsewhere = tmp_path / "out"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # as Snakemake does for --directory
    assert place(MINE, [project / "mine.yaml"], project=project, directory=elsewhere) == (elsewhere, MINE)


def test_job_of_an_own_study_runs_where_the_study_is_kept(project: Path, monkeypatch: Any) -> None:
    first = place(MINE, [project / "mine.yaml"], project=project, directory=None)
    first[0].mkdir(parents=True)
    monkeypatch.chdir(first[0])
    assert place(MINE, [project / "mine.yaml"], project=project, directory=first[0]) == first


def test_write_up_of_an_own_study_stands_beside_its_results() -> None:
    assert write_up(Path("clone", "studies", "mine")) == Path("study.md")
    assert write_up(Path("clone")) == Path("docs", "study.md")
