"""The content of a definition: its own, and that of all that it uses, wherever that stands."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest
from written import digest, write

from psasc_bench import code

SUBJECT = """
    import math
    from torch import nn
    from helpers import width, twice as double

    DEPTH = 2
    UNUSED = 3

    def helper(x):
        return x * DEPTH

    def other():
        return UNUSED

    def wanted(c):
        return nn.Linear(width(c), helper(double(c)))
"""
HELPERS = """
    FACTOR = 4

    def width(c):
        return FACTOR * c

    def twice(c):
        return 2 * c

    def idle():
        return 5
"""


@pytest.fixture
def before(tmp_path: Path) -> str:
    return digest(tmp_path, SUBJECT, helpers=HELPERS)


def changed(tmp_path: Path, before: str, *, subject: str = SUBJECT, helpers: str = HELPERS) -> bool:
    return digest(tmp_path, subject, helpers=helpers) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DEPTH = 2", "DEPTH = 3"),
        ("return x * DEPTH", "return x + DEPTH"),
        ("nn.Linear", "nn.Conv2d"),
        ("from torch import nn", "from jax import nn"),
        ("twice as double", "width as double"),
    ],
)
def test_what_a_definition_uses_is_part_of_it(old: str, new: str, tmp_path: Path, before: str) -> None:
    assert changed(tmp_path, before, subject=SUBJECT.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [("FACTOR = 4", "FACTOR = 5"), ("return 2 * c", "return 3 * c")])
def test_so_is_what_that_uses_in_another_file(old: str, new: str, tmp_path: Path, before: str) -> None:
    assert changed(tmp_path, before, helpers=HELPERS.replace(old, new))


@pytest.mark.parametrize(("old", "new"), [("UNUSED = 3", "UNUSED = 4"), ("import math", "import cmath")])
def test_what_it_does_not_use_is_not(old: str, new: str, tmp_path: Path, before: str) -> None:
    assert not changed(tmp_path, before, subject=SUBJECT.replace(old, new))
    assert not changed(tmp_path, before, helpers=HELPERS.replace("return 5", "return 6"))


def test_order_and_place_of_definitions_do_not_matter(tmp_path: Path, before: str) -> None:
    moved = SUBJECT.replace("DEPTH = 2", "") + "\n    DEPTH = 2\n"
    assert not changed(tmp_path, before, subject=moved)
    write(tmp_path, moved=HELPERS)
    assert not changed(tmp_path, before, subject=SUBJECT.replace("from helpers", "from moved"))


def test_parents_of_a_class_are_part_of_it(tmp_path: Path) -> None:
    child = "from parent import A\nclass B(A): pass\nclass wanted(B): x = 1"
    before = digest(tmp_path, child, parent="class A: y = 1")
    assert digest(tmp_path, child, parent="class A: y = 2") != before


@pytest.mark.parametrize(
    "used",
    [
        "import own\ndef wanted(): return own.f()",
        "import own as o\ndef wanted(): return o.f()",
        "def wanted():\n    from own import f\n    return f()",
        "def wanted():\n    import own\n    return own",
        "from own import *\ndef wanted(): return f()",
        "from door import f\ndef wanted(): return f()",
        "import door\ndef wanted(): return door.f()",
        "import own\nTABLE = {'f': own.f}\ndef wanted(): return TABLE['f']()",
        "import own\nTABLE = {}\nTABLE['f'] = own.f\ndef wanted(): return TABLE['f']()",
        "import own\nTABLE = {}\nTABLE.update(f=own.f)\ndef wanted(): return TABLE['f']()",
        "import own\nif own.f:\n    g = 1\nelse:\n    g = 2\ndef wanted(): return g",
        "try:\n    from own import f\nexcept ImportError:\n    f = None\ndef wanted(): return f()",
    ],
)
def test_it_is_found_however_it_is_come_by(used: str, tmp_path: Path) -> None:
    before = digest(tmp_path, used, own="def f(): return 1", door="from own import f")
    assert digest(tmp_path, used, own="def f(): return 2", door="from own import f") != before


def test_packages_are_entered_by_relative_imports_and_by_their_stub(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    write(package, __init__="import lazy_loader\n__getattr__ = lazy_loader.attach_stub(__name__, __file__)")
    (package / "__init__.pyi").write_text("from .room import f\n__all__ = ['f']")
    write(package, room="from .below import g\ndef f(): return g()", below="def g(): return 1")
    used = "import house\ndef wanted(): return house.f()"
    before = digest(tmp_path, used)
    write(package, below="def g(): return 2")
    assert digest(tmp_path, used) != before


def test_packages_without_an_init_are_entered_and_their_imports_start_from_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "lib" / "more").mkdir(parents=True)
    write(tmp_path / "lib", formula="from lib.more.constants import FACTOR\ndef f(): return FACTOR")
    write(tmp_path / "lib" / "more", constants="from beside import FACTOR")
    used = "from lib.formula import f\ndef wanted(): return f()"
    before = digest(tmp_path, used, beside="FACTOR = 1")
    assert digest(tmp_path, used, beside="FACTOR = 2") != before
    assert {path.stem for path in code.reached(tmp_path / "subject.py")} == {
        "subject",
        "formula",
        "constants",
        "beside",
    }


def test_neighbours_are_found_in_a_package_and_above_it(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    write(folder, __init__="", near="X = 1")
    write(tmp_path, near="X = 3", far="X = 5")
    for used in ("from near import X", "from house.near import X"):
        source = f"{used}\ndef wanted(): return X"
        before = digest(folder, source)
        write(folder, near="X = 2")
        assert digest(folder, source) != before
        write(folder, near="X = 1")
    before = digest(folder, "from far import X\ndef wanted(): return X")
    write(tmp_path, far="X = 6")
    assert digest(folder, "from far import X\ndef wanted(): return X") != before


def test_what_a_package_does_as_it_is_entered_is_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    write(folder, __init__="from house import room\nroom.FACTOR = 2", room="FACTOR = 1\ndef f(): return FACTOR")
    used = "from house.room import f\ndef wanted(): return f()"
    before = digest(tmp_path, used)
    write(folder, __init__="from house import room\nroom.FACTOR = 3")
    assert digest(tmp_path, used) != before


def test_packages_that_are_installed_without_an_init_are_read_from_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages" / "theirs"
    folder.mkdir(parents=True)
    write(folder, formula="FACTOR = 1")
    used = "from theirs.formula import FACTOR\ndef wanted(): return FACTOR"
    before = digest(folder, used)
    write(folder, formula="FACTOR = 2")
    assert digest(folder, used) != before


def test_definitions_that_use_each_other_have_a_content(tmp_path: Path) -> None:
    source = "def wanted(n): return n and other(n - 1)\ndef other(n): return n and wanted(n - {})"
    assert digest(tmp_path, source.format(1)) != digest(tmp_path, source.format(2))


def test_a_name_that_a_function_binds_is_not_that_of_the_module(tmp_path: Path) -> None:
    source = "x = {}\ndef wanted(x): return x"
    assert digest(tmp_path, source.format(1)) == digest(tmp_path, source.format(2))


def test_libraries_count_by_their_names(tmp_path: Path) -> None:
    content = code.content(write(tmp_path, helpers=HELPERS, subject=SUBJECT), "wanted")
    assert content.libraries == {"torch.nn.Linear"}


def test_training_itself_counts_by_its_name(tmp_path: Path) -> None:
    """`GENERATION` stands for it."""
    source = "from psasc_bench.engine import gather\ndef wanted(): return gather"
    assert code.content(write(tmp_path, subject=source), "wanted").libraries == set()
    own = "from psasc_bench.files import held\ndef wanted(): return held"
    assert "fcntl.flock" in code.content(write(tmp_path, subject=own), "wanted").libraries


def test_what_is_opaque_counts_by_its_name(tmp_path: Path) -> None:
    used = "from own import f\ndef wanted(): return f()"
    path = write(tmp_path, own="def f(): return 1", subject=used)
    before = code.content(path, "wanted", opaque=["own.f"]).digest
    write(tmp_path, own="def f(): return 2")
    assert code.content(path, "wanted", opaque=["own.f"]).digest == before


# ------------------------------------------------------------------------------------------------ tables


TABLE = "def f(): return 1\ndef g(): return 2\nTABLE = {'f': f, 'g': lambda: g()}"


def test_entries_of_a_table_have_each_its_own_content(tmp_path: Path) -> None:
    path = write(tmp_path, tables=TABLE)
    before = {key: code.content_of_entry(path, "TABLE", key).digest for key in code.entries(path, "TABLE")}
    write(tmp_path, tables=TABLE.replace("return 2", "return 3"))
    after = {key: code.content_of_entry(path, "TABLE", key).digest for key in before}
    assert list(before) == ["f", "g"]
    assert after["f"] == before["f"]
    assert after["g"] != before["g"]


def test_entry_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"TABLE has no 'h'; it has: f, g"):
        code.content_of_entry(write(tmp_path, tables=TABLE), "TABLE", "h")


def test_table_that_is_not_written_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tables\.py: TABLE must be written out"):
        code.entries(write(tmp_path, tables="TABLE = dict(f=1)"), "TABLE")


def test_file_that_is_no_python_is_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"subject\.py: line 2: not Python"):
        digest(tmp_path, "x = 1\ndef wanted(:")


# ------------------------------------------------------------------------------------------------ the whole package


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(code.PACKAGE, tmp_path / "psasc_bench", ignore=shutil.ignore_patterns("__pycache__")))


def test_package_is_what_its_files_do(copy: Path, tmp_path: Path) -> None:
    edited = Path(shutil.copytree(copy, tmp_path / "edited"))
    file = edited / "training" / "step.py"
    file.write_text("# why\n" + file.read_text(encoding="utf-8").replace('"""What', '"""All that'), encoding="utf-8")
    assert code.package_digest(edited) == code.package_digest(copy)
    acting = Path(shutil.copytree(copy, tmp_path / "acting"))
    file = acting / "training" / "step.py"
    file.write_text(file.read_text(encoding="utf-8").replace("decay**age", "decay*age"), encoding="utf-8")
    assert code.package_digest(acting) != code.package_digest(copy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from math import exp as k", "from math import log as k"),
        ("from psasc_bench.methods._own import one as f", "from psasc_bench.methods._own import two as f"),
        ("from math import tau as c", "from math import pi as c"),
    ],
)
def test_package_is_also_what_its_functions_and_classes_import(old: str, new: str, tmp_path: Path) -> None:
    source = """
        class A:
            from math import tau as c

            def weight(self, norm):
                from math import exp as k
                if norm:
                    from psasc_bench.methods._own import one as f
                return k(f(norm))
    """
    file = write(tmp_path, method=source)
    # not cached, unlike for those who ask for the package that they run
    before = code.package_digest.__wrapped__(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert code.package_digest.__wrapped__(tmp_path) != before


def test_package_has_the_files_of_its_methods_and_no_others(tmp_path: Path) -> None:
    def now() -> str:
        return code.package_digest.__wrapped__(tmp_path)

    for folder in ("methods/tables", "methods/__pycache__", "methods/.hidden", "data", "data/.hidden"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / "methods", a="x = 1")
    before = now()
    for unseen in ("methods/__pycache__/a.pyc", "methods/.t.json", "methods/.hidden/a.py", "data/t.json"):
        (tmp_path / unseen).write_text("1")
        assert now() == before, unseen
    (tmp_path / "data" / ".hidden" / "b.py").write_text("x = 1")
    assert now() == before
    seen = {before}
    for file, written in product(("methods/t.json", "methods/tables/t.json", "data/b.py", "data/b.pyi"), "12"):
        (tmp_path / file).write_text(written.replace("1", "x = 1").replace("2", "x = 2"))
        seen.add(now())
    assert len(seen) == 9
