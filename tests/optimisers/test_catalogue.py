"""Update rules are found by looking; what is impossible, unknown or missing is refused by name."""

from __future__ import annotations

import ast
import inspect
import math
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from psasc_bench import optimisers
from psasc_bench.optimisers import UpdateRule

SHIPPED = ["adam", "adam-bc", "average", "cosine", "heavy-ball", "linear", "low-pass", "nadam", "warm-up"]
LONGEST = 40


def required(name: str) -> dict[str, float]:
    return {field.name: 0.5 for field in fields(optimisers.load(name)) if field.default is MISSING}


def test_rules_are_the_files_of_the_folder() -> None:
    assert optimisers.names() == SHIPPED
    for name in SHIPPED:
        assert issubclass(optimisers.load(name), UpdateRule)


@pytest.mark.parametrize("name", SHIPPED)
def test_rule_is_one_file_of_few_lines(name: str) -> None:
    source = Path(inspect.getfile(optimisers.load(name))).read_text(encoding="utf-8")
    tree = ast.parse(source)
    said = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    silent = {line for node in said for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    code = [n for n, line in enumerate(source.splitlines(), 1) if n not in silent and line.split("#")[0].strip()]
    assert len(code) <= LONGEST


def test_each_rule_has_a_fingerprint_of_its_own() -> None:
    assert len({optimisers.fingerprint(name) for name in SHIPPED}) == len(SHIPPED)


def test_unknown_rule_is_refused_with_what_may_have_been_meant() -> None:
    with pytest.raises(ValueError, match=r"^unknown update rule 'adm'; did you mean adam\? known: adam, adam-bc, "):
        optimisers.load("adm")
    for name in ("base", "_chain", "heavy_ball", ""):
        with pytest.raises(ValueError, match="unknown update rule"):
            optimisers.load(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_unknown_setting_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} has no setting 'betta'; it has: "):
        optimisers.create_rule(name, required(name) | {"betta": 1.0})


def test_missing_setting_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^heavy-ball needs a value for 'momentum'$"):
        optimisers.create_rule("heavy-ball", {})


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, True, "1", None], ids=repr)
@pytest.mark.parametrize(("name", "key"), [(n, f.name) for n in SHIPPED for f in fields(optimisers.load(n))])
def test_bad_setting_is_refused_by_name(name: str, key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: {key} must be a number from 0"):
        optimisers.create_rule(name, required(name) | {key: value})


@pytest.mark.parametrize(("name", "key"), [(n, key) for n in SHIPPED for key in optimisers.load(n).fractions])
def test_fraction_is_below_one(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {key} must be a number from 0 and less than 1, got 1$"):
        optimisers.create_rule(name, required(name) | {key: 1})


def test_rule_is_in_a_chain_once() -> None:
    with pytest.raises(ValueError, match="has each rule once, this one has cosine twice"):
        optimisers.create([{"cosine": {}}, {"adam": {}}, {"cosine": {"floor": 0.1}}])


def test_chain_as_text_has_all_settings() -> None:
    chain = optimisers.create([{"low-pass": {}}, {"heavy-ball": {"momentum": 0.9}}])
    assert str(chain) == "low-pass (decay = 0.9, previous = 1) then heavy-ball (momentum = 0.9)"


BASE = "from psasc_bench.optimisers.base import UpdateRule\n"
MADE = (
    f"from dataclasses import dataclass\n{BASE}@dataclass(frozen=True)\nclass Mine(UpdateRule):\n    title = 'mine'\n"
)
BROKEN = {
    "import nothing_of_this_name": "ModuleNotFoundError: No module named 'nothing_of_this_name'",
    "class Mine: pass": "must define exactly one UpdateRule, has 0",
    f"{BASE}class Mine(UpdateRule): pass\nclass Other(UpdateRule): pass": "must define exactly one UpdateRule, has 2",
    f"{BASE}class Mine(UpdateRule): pass": "Mine: write @dataclass(frozen=True, kw_only=True) above the class",
    f"from dataclasses import dataclass\n{BASE}@dataclass\nclass Mine(UpdateRule): pass": (
        "TypeError: cannot inherit non-frozen dataclass from a frozen one"
    ),
    f"from dataclasses import dataclass\n{BASE}@dataclass(frozen=True)\nclass Mine(UpdateRule): pass": (
        "Mine.update: is missing; define it with def"
    ),
    f"{MADE}    update = 3": "Mine.update: must be a method; define it with def, and no @property",
    f"{MADE}    title, fractions = 'mine', ('beta',)\n    def update(self): pass": (
        "Mine.fractions: must be a tuple of names of its settings"
    ),
}


@pytest.mark.parametrize(
    ("source", "why"),
    BROKEN.items(),
    ids=["import", "none", "two", "no dataclass", "not frozen", "abstract", "no function", "fraction of nothing"],
)
def test_broken_file_is_one_line(source: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source + "\n", encoding="utf-8")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        optimisers.load(str(path))
    assert str(caught.value) == f"{path}: {why}"
