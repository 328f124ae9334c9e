"""What a module does at import beyond defining is part of all that is defined in it, in the order in which it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from written import digest, write

from psasc_bench import code

WANTED = "\ndef wanted(x): return x * T[0]\n"


def changed(tmp_path: Path, old: str, new: str, **others: str) -> bool:
    return digest(tmp_path, old, **others) != digest(tmp_path, new)


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("T = []\nfor k in range(1, 4):\n    T.append(1 / 2**k)", "2**k", "3**k"),
        ("T = []\nn = 3\nwhile n:\n    T.append(2)\n    n -= 1", "append(2)", "append(3)"),
        ("T = []\nwith open('f') as f:\n    T.append(2)", "append(2)", "append(3)"),
        ("T = []\n_ = T.append(2)", "append(2)", "append(3)"),
        ("T = []\n_: None = T.append(2)", "append(2)", "append(3)"),
        ("T = []\nT.append(2)", "append(2)", "append(3)"),
        ("T = []\ntry:\n    T.append(2)\nexcept ValueError as e:\n    pass", "append(2)", "append(3)"),
        ("T = []\nif (n := 3):\n    T.append(n)", "n := 3", "n := 4"),
        ("T = []\nif True:\n    n = T.append(3)", "append(3)", "append(4)"),
        ("T = []\nmatch 3:\n    case y: T.append(y)", "match 3", "match 4"),
        ("T = []\nU = [T.append(k) for k in (2, 3)]", "(2, 3)", "(3, 2)"),
        ("T = [1]\nU = T\nU += [2]", "+= [2]", "+= [3]"),
        ("T = [1]\nU = T\nU[0] = 2", "= 2", "= 3"),
        ("T = [1, 2, 3]\nU = T\ndel U[0]", "U[0]", "U[:2]"),
        ("T = []\ndef reg(f):\n    T.append(f())\n    return f\n@reg\ndef a(): return 1", "return 1", "return 2"),
        ("T = []\ndef reg(f):\n    T.append(f.K)\n    return f\n@reg\nclass A:\n    K = 1", "K = 1", "K = 2"),
        ("T = []\nclass A:\n    x = T.append(1)", "append(1)", "append(2)"),
        ("T = []\ndef f(x=T.append(1)): return x", "append(1)", "append(2)"),
        ("T = []\nf = lambda x=T.append(1): x", "append(1)", "append(2)"),
        (
            "T = []\nclass R:\n    def __init_subclass__(cls): T.append(cls.K)\nclass A(R):\n    K = 1",
            "K = 1",
            "K = 2",
        ),
        (
            "from dataclasses import dataclass\nT = []\n@dataclass\nclass A:\n    x: int\n"
            "    def __post_init__(self): T.append(self.x)\nB = A(1)",
            "A(1)",
            "A(2)",
        ),
        ("T = []\ndef dict(x): T.append(x)\nA = dict(1)", "dict(1)", "dict(2)"),
        ("T = [1]\ndef again():\n    global T\n    T = [2]\nagain()", "[2]", "[3]"),
        ("class A:\n    K = 1\nT = [A]\nfor c in T:\n    setattr(c, 'K', 2)", "'K', 2", "'K', 3"),
        ("class A:\n    K = 1\nT = [A]\nB = A\nB.K = 2", "B.K = 2", "B.K = 3"),
    ],
)
def test_what_it_does_matters(source: str, old: str, new: str, tmp_path: Path) -> None:
    assert old in source
    assert changed(tmp_path, source + WANTED, source.replace(old, new) + WANTED)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A = 1\nT = [A]\nA = 2", "A = 1\nA = 2\nT = [A]"),
        ("U = [1]\nT = [*U]\nU.append(2)", "U = [1]\nU.append(2)\nT = [*U]"),
        ("T = []\nT.append(1)\nT.append(2)", "T = []\nT.append(2)\nT.append(1)"),
        ("T = []\nT.append(1)\n_ = T.append(2)", "T = []\n_ = T.append(2)\nT.append(1)"),
        ("from math import pi as c\nT = [c]\nfrom math import e as c", "from math import pi as c, e as c\nT = [c]"),
    ],
)
def test_so_does_when_it_does_it(one: str, other: str, tmp_path: Path) -> None:
    assert changed(tmp_path, one + WANTED, other + WANTED)


def test_an_entry_of_a_table_is_what_it_is_where_the_table_stands(tmp_path: Path) -> None:
    written = [
        code.content_of_entry(write(tmp_path, tables=source), "TABLE", "f").digest
        for source in ("A = 1\nTABLE = {'f': A}\nA = 2", "A = 1\nA = 2\nTABLE = {'f': A}")
    ]
    assert written[0] != written[1]


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("U = {}", "{}", "{1: 2}"),
        ("import math\nU = 1 + math.sqrt(2)", "(2)", "(3)"),
        ("U = tuple(k for k in range(3))", "3", "4"),
        ("from typing import TypeVar\nU = TypeVar('U')", "'U'", "'V'"),
        ("from dataclasses import dataclass, field\n@dataclass\nclass U:\n    x: int = field(default=1)", "=1", "=2"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nU = A(1)", "A(1)", "A(2)"),
        ("import functools\n@functools.cache\ndef u(): return 1", "return 1", "return 2"),
        ("class U:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, y): pass", "1", "2"),
        ("if True:\n    U = 1\nelse:\n    U = 2", "2", "3"),
        ("import own\nU = 1", "import own", "import json as own"),
    ],
)
def test_what_only_defines_something_else_does_not(source: str, old: str, new: str, tmp_path: Path) -> None:
    source += "\nT = [1]" + WANTED
    assert not changed(tmp_path, source, source.replace(old, new, 1), own="V = 1")


def test_definitions_may_stand_on_either_side_of_it(tmp_path: Path) -> None:
    twice, acts, wanted = "\ndef twice(x): return 2 * x", "\nT.append(1)", "\ndef wanted(): return twice(T)"
    assert not changed(tmp_path, "T = []" + acts + twice + wanted, "T = []" + twice + acts + wanted)


@pytest.mark.parametrize(
    "used",
    [
        "import acts\nimport own\ndef wanted(): return own.T",
        "from acts import nothing\nimport own\ndef wanted(): return own.T",
        "import leads\nimport own\ndef wanted(): return own.T",
        "from house import room\nimport own\ndef wanted(): return own.T",
        "import house.room\nimport own\ndef wanted(): return own.T",
        "try:\n    import acts\nexcept ImportError as e:\n    pass\nimport own\ndef wanted(): return own.T",
        "import own\ndef wanted():\n    import acts\n    return own.T",
        "import own\ndef wanted():\n    import house.room\n    return own.T",
    ],
)
def test_what_an_imported_file_does_matters(used: str, tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    write(tmp_path / "house", __init__="", room="import leads")
    others = {"own": "T = []", "leads": "from acts import nothing", "acts": "import own\nnothing = 0\nown.T.append(1)"}
    before = digest(tmp_path, used, **others)
    assert digest(tmp_path, used, acts=others["acts"].replace("append(1)", "append(2)")) != before


def test_files_that_import_each_other_are_read(tmp_path: Path) -> None:
    used = "import one\ndef wanted(): return one.a"
    others = {"one": "import two\na = 1\nT = []\nT.append(1)", "two": "import one\nb = 1"}
    before = digest(tmp_path, used, **others)
    assert digest(tmp_path, used, one=others["one"].replace("append(1)", "append(2)")) != before


def test_it_matters_which_of_two_imports_of_a_name_is_the_last(tmp_path: Path) -> None:
    one = "def wanted():\n    from math import pi as c\n    x = c\n    from math import e as c\n    return x"
    other = "def wanted():\n    from math import pi as c\n    from math import e as c\n    x = c\n    return x"
    assert changed(tmp_path, one, other)


def test_files_that_are_named_are_part_of_it(tmp_path: Path) -> None:
    source = "import json, pathlib\nT = json.loads((pathlib.Path(__file__).parent / 't.json').read_text())" + WANTED
    alone = digest(tmp_path, source)
    (tmp_path / "t.json").write_text("[1]")
    before = digest(tmp_path, source)
    (tmp_path / "other.json").write_text("[1]")
    assert alone != before == digest(tmp_path, source)
    (tmp_path / "t.json").write_text("[2]")
    assert digest(tmp_path, source) != before
