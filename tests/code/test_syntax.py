"""Syntax as text: the same whatever code looks like and whichever Python reads it, another for other code."""

from __future__ import annotations

import ast
import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psasc_bench.code import PACKAGE
from psasc_bench.code.syntax import chains, text

FILES = sorted(PACKAGE.rglob("*.py"))
EVERYTHING = Path(__file__).with_name("every_syntax.txt")


def content(source: str) -> str:
    return text(ast.parse(source))


def numbers(tree: ast.AST) -> list[ast.Constant]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    ]


# --------------------------------------------------------------------------------------------- what does not matter


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_comments_and_formatting_do_not_matter(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert content(ast.unparse(ast.parse(source))) == content(source)


def test_no_docstring_matters() -> None:
    with_them = '"""A."""\nclass A:\n    """B."""\n    x = 1\n    """C."""\n    def f(self):\n        """D."""\n'
    assert content(with_them) == content("class A:\n    x = 1\n    def f(self): pass")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a'", 'x = "a"'),
        ("x = ('a' 'b')", "x = 'ab'"),
        ("x = (1 + 2)", "x = 1 + 2"),
        ("x = [1, 2,]", "x = [1, 2]"),
        ("x = 1_000 + 0x10 + 1e-3", "x = 1000 + 16 + 0.001"),
        ("if a:\n  b()\nelse:\n  if c:\n    d()", "if a: b()\nelif c: d()"),
        ("f(a,\n  # why\n  b)", "f(a, b)"),
        ("x = f'{a}' 'b' f'{{{c}}}'", "x = f'{a}b{{{c}}}'"),
        ("x = f'''{a:}'''", "x = f'{a}'"),
        ("def f(): pass", "def f(): ..."),
        ("def f():\n  raise ValueError(f'no {x}') from None", "def f():\n  raise ValueError('not so') from None"),
    ],
)
def test_how_it_is_written_does_not_matter(one: str, other: str) -> None:
    assert content(one) == content(other)


# ------------------------------------------------------------------------------------------------ what does matter


@given(st.data())
def test_any_changed_number_matters(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(FILES)).read_text(encoding="utf-8")
    tree = ast.parse(source)
    in_words = {id(node) for raised in ast.walk(tree) if isinstance(raised, ast.Raise) for node in ast.walk(raised)}
    if found := [node for node in numbers(tree) if id(node) not in in_words]:
        node = data.draw(st.sampled_from(found))
        node.value = -node.value - 1
        assert text(tree) != content(source)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = a - b - c", "x = a - (b - c)"),
        ("x = {None: y}", "x = {**y}"),
        ("def f(*, a, b=None): pass", "def f(*, a=None, b): pass"),
        ("def f(a, b): return a", "def f(b, a): return a"),
        ("x: int = 1", "x: float = 1"),
        ("x = f'{a!r}'", "x = f'{a}'"),
        ("x = f'{a:.2f}'", "x = f'{a:.3f}'"),
        ("raise ValueError", "raise TypeError"),
        ("raise Found(1)", "raise Found(2)"),
        ("@once\ndef f(): pass", "def f(): pass"),
        ("x = not a is b", "x = (not a) is b"),
    ],
)
def test_what_it_does_matters(one: str, other: str) -> None:
    assert content(one) != content(other)


# ------------------------------------------------------------------------------------------------ on every Python


def test_every_python_reads_the_same() -> None:
    """The number is that of 3.11, 3.12 and 3.13; if it moves, so do the fingerprints of all records."""
    found = content(EVERYTHING.read_text(encoding="utf-8"))
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == "7c63340e2205ed98"


# ------------------------------------------------------------------------------------------- names from outside


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(a, b=c): return a + b + d", {"c", "d"}),
        ("def f():\n  x = 1\n  return x + y.z(x)", {"y.z"}),
        ("def f(): return [x for x in x]", {"x"}),
        ("def f(): return [g(x) for x in y], x", {"g", "y", "x"}),
        ("f = lambda a: a + b", {"b"}),
        ("class A(B):\n  c: D = e\n  def f(self): return self.c + g", {"B", "D", "e", "g"}),
        ("def f():\n  global x\n  x = x + 1", {"x"}),
        ("def f():\n  def g(a): return a + x\n  x = 1\n  return g", set()),
        ("def f(e):\n  try: g()\n  except E as e: return e.args", {"g", "E"}),
        ("def f(a):\n  match a:\n    case P(x=[b, *c]): return b, c, d", {"P", "d"}),
        ("def f():\n  a().b.c\n  x.y[i].z", {"a", "x.y", "i"}),
    ],
)
def test_names_from_outside_are_those_that_nothing_inside_binds(source: str, names: set[str]) -> None:
    assert {".".join(chain) for chain in chains(ast.parse(source))} == names


def test_text_is_short_enough_to_be_read_for_every_run() -> None:
    """A guard against text that repeats itself: within ten times the source."""
    chosen = random.Random(0).sample(FILES, 10)
    assert all(len(content(source)) < 10 * len(source) + 100 for source in map(Path.read_text, chosen))
