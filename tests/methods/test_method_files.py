"""Methods are found by looking, in the package or in a file, each with a fingerprint of its source."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from shipped_methods import SHIPPED
from sweep_study import STUDY, SWEEP

from psasc_bench import analysis, methods
from psasc_bench.study import RunSpec, parse_study

PACKAGE = Path(methods.__file__).parent.parent
ROOT = Path(__file__).parents[2]
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


HEADER, _, BODY = NEWCOMER.partition("@dataclass")
UNDECORATED = HEADER + BODY.partition("\n")[2]
SENSITIVITY = """
    def sensitivity(self) -> float:
        return self.C
"""
FORMS = {
    "no sensitivity": (NEWCOMER.replace(SENSITIVITY, ""), "Newcomer.sensitivity: is missing"),
    "a property": (
        NEWCOMER.replace("    def sens", "    @property\n    def sens"),
        "Newcomer.sensitivity: must be a method",
    ),
    "an attribute": (
        NEWCOMER.replace(SENSITIVITY, "\n    sensitivity = 1.0\n"),
        "Newcomer.sensitivity: must be a method",
    ),
    "no dataclass": (UNDECORATED, r"Newcomer: write @dataclass\(frozen=True, kw_only=True\) above"),
    "no truth value": (NEWCOMER.replace("    C:", "    blind = 'no'\n    C:"), "Newcomer.blind: must be True or False"),
    "no title": (NEWCOMER.replace('title = "newcomer"', ""), "Newcomer.title: must be text, got None"),
    **{
        f"title {title}": (NEWCOMER.replace('"newcomer"', title), rf"Newcomer.title: must .*, got {re.escape(title)}$")
        for title in ("3", "''", "' a'", r"'a\nb'", r"'a\u2028b'", r"'a\x00b'", r"'a\ud800b'", r"'\ufffe'", r"'\u200b'")
    },
}
ADAPTIVE = (PACKAGE / "methods" / "quantile.py").read_text(encoding="utf-8")
FORMS |= {
    "no state": (ADAPTIVE.replace('state = ("C",)', ""), "Quantile.state: must name, in a tuple, the fields"),
    "state in a text": (ADAPTIVE.replace('("C",)', '"C"'), "Quantile.state: must name, in a tuple, the fields"),
    "state of no field": (ADAPTIVE.replace('("C",)', '("D",)'), "Quantile.state: must name, in a tuple, the fields"),
    "no statistic": (ADAPTIVE.replace("def statistic(", "def counted("), "Quantile.statistic: is missing"),
    "no next step": (ADAPTIVE.replace("def advance(", "def next("), "Quantile.advance: is missing"),
}
AT_IMPORT = {
    "exits": ("sys.exit(0)", "SystemExit: 0"),
    "raises": ("raise ValueError('two\\nlines')", "two lines"),
    "divides by zero": ("1 / 0", "ZeroDivisionError"),
}
CLAIMED = {
    "None": "must return a number above 0.* got None",
    "'1'": "must return a number above 0.* got '1'",
    "True": "must return a number above 0.* got True",
    "0.0": "must return a number above 0.* got 0.0",
    "float('nan')": "must return a number above 0.* got nan",
    "10**400": "OverflowError",
    "1 / 0": "ZeroDivisionError",
    "self.q": "AttributeError",
    "exit()": "SystemExit",
}


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


def refused(path: Path, source: str) -> str:
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(path.name)) as caught:
        methods.from_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("source", "message"), FORMS.values(), ids=list(FORMS))
def test_method_of_another_form_is_refused_with_the_file(source: str, message: str, tmp_path: Path) -> None:
    assert re.search(message, refused(tmp_path / "odd.py", source))


@pytest.mark.parametrize(("statement", "message"), AT_IMPORT.values(), ids=list(AT_IMPORT))
def test_whatever_a_file_does_at_import_is_told_with_the_file(statement: str, message: str, tmp_path: Path) -> None:
    assert message in refused(tmp_path / "odd.py", f"import sys\n{statement}\n")


@pytest.mark.parametrize(("value", "message"), CLAIMED.items())
def test_sensitivity_that_is_none_is_refused(value: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(NEWCOMER.replace(SENSITIVITY, SENSITIVITY.replace("self.C", value)), encoding="utf-8")
    method = methods.instantiate("odd", methods.from_file(path), {"C": 1.0})
    with pytest.raises(ValueError, match=rf"^odd: sensitivity\(\): .*{message}"):
        methods.sensitivity("odd", method)


def test_method_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(NEWCOMER + "\n    def __post_init__(self):\n        raise TypeError('no')\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^odd: TypeError: no$"):
        methods.instantiate("odd", methods.from_file(path), {"C": 1.0})


@pytest.mark.parametrize("name", ["epsilon", "seed", "method", "title", "learning_rate", "sensitivity", "nonprivate_x"])
def test_hyperparameter_whose_name_means_something_else_is_refused(name: str, tmp_path: Path) -> None:
    source = NEWCOMER.replace("    C: float", f"    C: float\n    {name}: float = 0.1")
    if name == "sensitivity":  # or else the method would be the default
        source = source.replace(SENSITIVITY, "")
    told = refused(tmp_path / "odd.py", source)
    assert told.endswith(
        f"Newcomer.{name}: this name means something else in studies and tables; rename the hyper-parameter"
    )


def test_what_runs_and_tables_are_made_of_is_reserved(tmp_path: Path) -> None:
    study = parse_study(STUDY | {"sweeps": {"tuning": SWEEP}}, source="study")
    swept = {key for row in analysis.sweep_table(study, ["tuning"], tmp_path) for key in row}
    shown = {key for name in ("runs", "sweep_curves") for key in header(ROOT / "results" / f"{name}.csv")}
    known = {key for name in SHIPPED for key in (field.name for field in fields(methods.load(name)))}
    taken = {field.name for field in fields(RunSpec)} | ({"title", "method", "label"} | swept | shown) - known
    assert sorted(key for key in taken if key not in methods.RESERVED and methods.DIAGNOSTIC not in key) == []
    assert not known & methods.RESERVED


def header(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").partition("\n")[0].split(",")


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
