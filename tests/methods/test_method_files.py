"""Methods are found by looking, in the package or in a file, each with a fingerprint of its source."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shipped_methods import SHIPPED

from psasc_bench import methods

PACKAGE = Path(methods.__file__).parent.parent
NEWCOMER = '''\
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Newcomer(Method):
    """``w(x) = C/(x + 1)``."""

    title = "newcomer"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + 1)

    def sensitivity(self) -> float:
        return self.C
'''
CHILD = '''\
from dataclasses import dataclass

from psasc_bench.methods.dp_psasc import DPPSASC


@dataclass(frozen=True, kw_only=True)
class Child(DPPSASC):
    """As its parent, but inner momentum is on."""

    title = "child"

    iterates: int = 2
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package as shipped, to be changed at will; ``fingerprints`` imports it in a process of its own."""
    others = {f"{name.replace('-', '_')}.py" for name in methods.names() if name not in SHIPPED}
    ignored = shutil.ignore_patterns("__pycache__", *others)
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=ignored))


def fingerprints(copy: Path) -> dict[str, str]:
    code = (
        "import json; from psasc_bench import methods as m; "
        "print(json.dumps({n: m.fingerprint(m.load(n)) for n in m.names()}))"
    )
    # -B: bytecode stamped to the second must not hide a change made within it
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=copy.parent, capture_output=True, check=True)
    return json.loads(done.stdout)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_dropped_in_file_is_found_without_editing_another(copy: Path) -> None:
    before = fingerprints(copy)
    (copy / "methods" / "new_comer.py").write_text(NEWCOMER, encoding="utf-8")
    assert changed(before, fingerprints(copy)) == {"new-comer"}


def test_editing_a_method_changes_its_fingerprint_and_no_other(copy: Path) -> None:
    before = fingerprints(copy)
    assert before == fingerprints(copy)
    file = copy / "methods" / "auto_s.py"
    source = file.read_text(encoding="utf-8")
    file.write_text(source.replace("norm + self.gamma", "norm - self.gamma"), encoding="utf-8")
    assert changed(before, fingerprints(copy)) == {"auto-s"}


def test_editing_a_parent_changes_the_fingerprint_of_its_child(copy: Path) -> None:
    (copy / "methods" / "child.py").write_text(CHILD, encoding="utf-8")
    before = fingerprints(copy)
    file = copy / "methods" / "dp_psasc.py"
    file.write_text(file.read_text(encoding="utf-8").replace("self.s * norm", "norm"), encoding="utf-8")
    family = {"dp-psasc", "dp-psasc-inner", "child"}
    assert changed(before, fingerprints(copy)) == family


def test_fingerprints_of_unlike_methods_differ() -> None:
    assert len({methods.fingerprint(methods.load(name)) for name in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("header", ["", "from __future__ import annotations\n\n"], ids=["plain", "postponed"])
def test_method_comes_from_a_file_anywhere(header: str, tmp_path: Path) -> None:
    (tmp_path / "newcomer.py").write_text(header + NEWCOMER, encoding="utf-8")
    cls = methods.from_file(tmp_path / "newcomer.py")
    assert cls(C=3.0).sensitivity() == 3.0  # type: ignore[call-arg]
    assert len(methods.fingerprint(cls)) == 16


def test_child_in_a_file_is_one_method_though_its_parent_is_imported(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    assert methods.from_file(tmp_path / "child.py").title == "child"


@pytest.mark.parametrize("source", ["", NEWCOMER + NEWCOMER.replace("Newcomer", "Other")], ids=["none", "two"])
def test_file_without_exactly_one_method_is_refused(source: str, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(source, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.py.*exactly one"):
        methods.from_file(tmp_path / "odd.py")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.py"):
        methods.from_file(tmp_path / "absent.py")


def test_methods_do_not_wait_for_torch() -> None:
    code = (
        f"import sys; from psasc_bench import methods as m; [m.load(n) for n in {SHIPPED}]; "
        "sys.exit('torch' in sys.modules or 'opacus' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_docstring_has_the_formula_and_its_standing(name: str) -> None:
    text = methods.load(name).__doc__ or ""
    assert "w(x)" in text
    assert "arXiv" in text or "control" in text


def test_titles_are_unlike() -> None:
    assert len({methods.load(name).title for name in SHIPPED}) == len(SHIPPED)
