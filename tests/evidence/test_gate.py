"""The gate: a method that has passed is noted, and no note outlives what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from psasc_bench.code import PACKAGE

GATE = """
import sys
from pathlib import Path
from psasc_bench.evidence.gate import require_sound_method
require_sound_method("mine", {"C": float(sys.argv[1])}, Path("passed"))
"""
METHOD = """
import json
from dataclasses import dataclass
from pathlib import Path

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    title = "Mine"
    C: float

    def __post_init__(self) -> None:
        Path("asked").open("a").write("x")

    def weight(self, norm: Tensor) -> Tensor:
        from psasc_bench.methods._own import one as factor

        return factor() * self.C / norm.clamp(min=self.C)

    def sensitivity(self) -> float:
        return self.C * json.loads(Path(__file__).with_name("mine.json").read_text())
"""


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with a method that has a helper and a file beside it, and that has passed."""
    copy = tmp_path_factory.mktemp("passed") / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "methods" / "mine.py").write_text(METHOD, encoding="utf-8")
    (copy / "methods" / "mine.json").write_text("1", encoding="utf-8")
    (copy / "methods" / "_own.py").write_text("def one(): return 1\ndef ten(): return 10\n", encoding="utf-8")
    assert asked(copy) == (True, "")
    return copy


@pytest.fixture
def copy(passed: Path, tmp_path: Path) -> Path:
    """Of it and of its note, to be changed at will."""
    return Path(shutil.copytree(passed.parent, tmp_path / "copy")) / PACKAGE.name


def asked(copy: Path, setting: float = 1.0) -> tuple[bool, str]:
    """Whether a new process, which asks the gate, has tried the method; and the last line that it said."""
    told = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    (copy.parent / "asked").unlink(missing_ok=True)
    command = [sys.executable, "-c", GATE, str(setting)]
    said = subprocess.run(command, cwd=copy.parent, env=told, capture_output=True, text=True, check=False).stderr
    return (copy.parent / "asked").exists(), said.strip().rpartition("\n")[2]


def notes(copy: Path) -> set[str]:
    return {path.name for path in (copy.parent / "passed").glob("*")}


def edit(path: Path, old: str, new: str) -> None:
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")


def test_who_has_passed_is_not_tried_again(copy: Path) -> None:
    (note,) = notes(copy)
    assert re.fullmatch(r"[0-9a-f]{16}\.json", note)
    edit(copy / "methods" / "mine.py", "    title", "    # how it is called\n    title")
    assert asked(copy) == (False, "")
    assert asked(copy, 2.0) == (True, "")
    assert len(notes(copy)) == 2


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("methods/mine.py", "import one as factor", "import ten as factor"),
        ("methods/_own.py", "return 1\n", "return 2\n"),
        ("methods/mine.json", "1", "0.5"),
    ],
)
def test_an_edit_that_makes_it_unsound_is_found(file: str, old: str, new: str, copy: Path) -> None:
    before = notes(copy)
    edit(copy / file, old, new)
    tried, said = asked(copy)
    assert tried
    assert "ValueError: mine (C = 1) fails the battery and is not trained: supremum is" in said
    assert notes(copy) == before


def test_an_edit_of_the_rest_of_the_package_has_it_tried_again(copy: Path) -> None:
    edit(copy / "training" / "loop.py", "EVALUATION_BATCH = 1000", "EVALUATION_BATCH = 500")
    assert asked(copy) == (True, "")
    assert len(notes(copy)) == 2
