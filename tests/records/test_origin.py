"""Which commit a record names: that of the files that ran, or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from psasc_bench.code import PACKAGE
from psasc_bench.records import provenance

PRINT = "import json; from psasc_bench.records import code_version; print(json.dumps(code_version()))"
NOT_TRACKED = {"commit": None, "modified": None}


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "init.defaultBranch=main"]
    outside = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    asked = ["git", *named, "-C", str(folder), *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=True, env=outside).stdout.strip()


def unpack(folder: Path) -> Path:
    """The package in ``folder``, as from an archive."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
    return folder


def commit(folder: Path) -> str:
    """All that is in ``folder``, as a repository of its own; returns the commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


def named(folder: Path, **environment: str) -> dict[str, Any]:
    """What a process says that runs the package in ``folder``."""
    asked = [sys.executable, "-B", "-c", PRINT]
    told = os.environ | {"PYTHONPATH": str(folder)} | environment
    return dict(json.loads(subprocess.run(asked, cwd=folder.parent, env=told, capture_output=True, check=True).stdout))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = unpack(tmp_path / "clone")
    commit(folder)
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another repository, with files of its own."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "readme").write_text("of something else")
    commit(folder)
    return folder


def test_clone_names_its_commit(clone: Path) -> None:
    assert named(clone) == {"commit": git(clone, "rev-parse", "HEAD"), "modified": False}


def test_record_names_what_git_says() -> None:
    says = {"commit": "f" * 40, "modified": False}
    made = provenance(started=datetime.now(UTC), version_of_code=says)
    assert {key: made[key] for key in says} == says


def edit(clone: Path) -> None:
    file = clone / "psasc_bench" / "methods" / "dp_sgd.py"
    file.write_text(file.read_text() + "\n")


def edit_unseen(clone: Path) -> None:
    git(clone, "update-index", "--assume-unchanged", "psasc_bench/methods/dp_sgd.py")
    edit(clone)


def stage(clone: Path) -> None:
    edit(clone)
    git(clone, "add", "--all")


def add_a_method(clone: Path) -> None:
    (clone / "psasc_bench" / "methods" / "mine.py").write_text("x = 1\n")


def add_an_ignored_method(clone: Path) -> None:
    (clone / ".git" / "info" / "exclude").write_text("mine.py\n")
    add_a_method(clone)


def add_a_repository(clone: Path) -> None:
    folder = clone / "psasc_bench" / "methods" / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("x = 1\n")
    commit(folder)


def add_protocols(clone: Path) -> None:
    (clone / "psasc_bench" / "study" / "more.yaml").write_text("x: 1\n")


def delete(clone: Path) -> None:
    (clone / "psasc_bench" / "methods" / "nsgd.py").unlink()


CHANGES = [edit, edit_unseen, stage, add_a_method, add_an_ignored_method, add_a_repository, add_protocols, delete]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_package_that_is_not_as_committed_is_modified(change: Callable[[Path], None], clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    change(clone)
    assert named(clone) == {"commit": before, "modified": True}


@pytest.mark.parametrize("file", ["notes.txt", "psasc_bench/methods/notes.txt", "psasc_bench/methods/.#dp_sgd.py"])
def test_files_that_are_no_code_of_the_package_do_not_matter(file: str, clone: Path) -> None:
    (clone / file).write_text("x")
    assert named(clone)["modified"] is False


def test_archive_unpacked_in_another_repository_names_no_commit(other: Path) -> None:
    assert named(unpack(other / "unpacked")) == NOT_TRACKED


def test_package_installed_within_another_repository_names_no_commit(other: Path) -> None:
    (other / ".gitignore").write_text(".venv\n")
    commit(other)
    folder = other / ".venv" / "lib" / "site-packages"
    assert named(unpack(folder)) == NOT_TRACKED


def test_repository_that_tracks_a_file_of_it_alone_is_not_believed(other: Path) -> None:
    unpack(other)
    git(other, "add", "psasc_bench/methods/dp_sgd.py")
    git(other, "commit", "--quiet", "--message", "one")
    assert named(other) == NOT_TRACKED


def test_repository_that_tracks_the_package_is_believed(other: Path) -> None:
    vendored = unpack(other / "vendored")
    assert {"commit": commit(other), "modified": False} == named(vendored)


def test_clone_within_another_repository_names_its_own_commit(other: Path) -> None:
    inner = unpack(other / "inner")
    assert {"commit": commit(inner), "modified": False} == named(inner)


def test_submodule_names_its_own_commit(clone: Path, other: Path) -> None:
    git(other, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(clone), "inner")
    commit(other)
    assert named(other / "inner") == {"commit": git(clone, "rev-parse", "HEAD"), "modified": False}


@pytest.mark.parametrize("variables", [["GIT_DIR"], ["GIT_DIR", "GIT_WORK_TREE"], ["GIT_INDEX_FILE"]], ids=str)
def test_another_repository_in_the_environment_is_not_asked(variables: list[str], clone: Path, other: Path) -> None:
    values = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git" / "index"}
    told = {name: str(values[name]) for name in variables}
    assert named(clone, **told) == {"commit": git(clone, "rev-parse", "HEAD"), "modified": False}


def test_without_git_there_is_no_commit(clone: Path, tmp_path: Path) -> None:
    assert named(clone, PATH=str(tmp_path)) == NOT_TRACKED
    assert named(unpack(tmp_path / "nowhere")) == NOT_TRACKED
