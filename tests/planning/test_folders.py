"""Where a study is kept: the shipped one in the project, any other in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from psasc_bench.commands.creating import METHOD
from psasc_bench.planning import folder_of, place, study_folder, write_up
from psasc_bench.study import ConfigError, parse_study

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
    for dataset in values["datasets"].values() if "methods" in changes else ():
        for of_methods in ("methods", "overrides", "overrides_by_epsilon"):
            dataset.pop(of_methods, None)
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
    assert (placed["name"], placed["configfile"]) == ("mine", ["mine.yaml"])
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


def test_write_up_of_an_own_study_stands_beside_its_results(project: Path) -> None:
    assert write_up(project / "studies" / "mine") == Path("study.md")
    assert write_up(project) == Path("docs", "study.md")


def test_write_up_of_a_clone_in_a_folder_of_studies_stands_among_its_docs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "studies" / "clone" / "config")
    assert write_up(tmp_path / "studies" / "clone") == Path("docs", "study.md")


@pytest.mark.parametrize("file", ["..yaml", "...yaml", " .yaml", "a\\b.yaml"])
def test_file_whose_name_is_none_of_a_folder_asks_for_a_name(file: str, project: Path) -> None:
    with pytest.raises(ConfigError, match=r"rename the file, or give the study a `name:`"):
        folder(MINE, project, file)
    assert folder(MINE | {"name": "mine"}, project, file) == project / "studies" / "mine"


def test_folder_may_have_the_name_of_any_other_file(project: Path) -> None:
    assert folder(MINE, project, "My Study.yaml") == project / "studies" / "My Study"


def test_key_given_twice_is_refused_in_whichever_file_it_is(project: Path) -> None:
    """Snakemake, which has read them, has kept the last."""
    (project / "more.yaml").write_text("methods: {dp-sgd: {C: 0.1}, dp-sgd: {C: 0.7}}")
    files = [project / "mine.yaml", project / "more.yaml"]
    with pytest.raises(
        ConfigError, match=r"more\.yaml: not valid YAML: key 'dp-sgd' is given twice in .*, line 1, col"
    ):
        place(MINE, files, project=project, directory=None)


@pytest.mark.parametrize("directory", [None, "other"])
def test_files_with_code_are_seen_from_the_studys_file_wherever_it_runs(project: Path, directory: str | None) -> None:
    """The second is a user's choice of another folder than the study's own."""
    (project / "code").mkdir()
    (project / "code" / "mine.py").write_text(METHOD.format(class_name="Mine", title="mine"))
    values = MINE | {"methods": {"mine": {"file": "mine.py", "C": 1}}}
    (project / "code" / "mine.yaml").write_text(yaml.safe_dump(values))
    chosen = project / directory if directory else None
    _, placed = place(values, [Path("code", "mine.yaml")], project=project, directory=chosen)
    assert placed["methods"]["mine"]["file"] == str(project / "code" / "mine.py")
    assert parse_study(placed, source="it").implementation("mine") == str(project / "code" / "mine.py")
