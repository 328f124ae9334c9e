"""A run that is stopped, and code that is edited before it goes on: it starts over, and says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from processes import Run, end

from psasc_bench.code import PACKAGE


def started_in(folder: Path) -> dict[str, str]:
    """The environment of a process that runs the copy of the package in ``folder``."""
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def stopped(long: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, and a run of it that was killed."""
    folder = tmp_path_factory.mktemp("stopped")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    long.kill_after_a_checkpoint(folder, **started_in(folder))
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(stopped, tmp_path / "copy"))


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "unlike"),
    [
        ("models/networks.py", "Linear(128, 32), nn.Tanh()", "Linear(128, 32), nn.ReLU()", "code, fingerprint"),
        ("training/loop.py", "EVALUATION_BATCH = 1000", "EVALUATION_BATCH = 500", "code"),
    ],
)
def test_it_starts_over_after_an_edit(file: str, old: str, new: str, unlike: str, folder: Path, long: Run) -> None:
    edit(folder / PACKAGE.name / file, old, new)
    status, said = end(long.start(folder, **started_in(folder)))
    assert status == 0, said
    assert f"of another run ({unlike} differ); the run starts over" in said
    assert long.made(folder)[0].provenance["resumed_at_steps"] == []


def test_it_goes_on_after_an_edit_of_words(folder: Path, long: Run) -> None:
    edit(folder / PACKAGE.name / "models" / "networks.py", '"""8x8 grey images', '# why\n    """Images, grey, of 8x8')
    assert end(long.start(folder, **started_in(folder))) == (0, "")
    assert len(long.made(folder)[0].provenance["resumed_at_steps"]) == 1
