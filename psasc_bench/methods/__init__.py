"""The methods under test, found by looking: every file of this folder that defines a ``Method`` is one; others are in
files of somebody's own, or offered by installed packages, see ``plugins``."""

from __future__ import annotations

import importlib
import inspect
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from psasc_bench import code, plugins
from psasc_bench.methods.base import LARGEST, SMALLEST, Adaptive, Method, PerLayer

__all__ = [
    "LARGEST",
    "RESERVED",
    "SMALLEST",
    "Adaptive",
    "Method",
    "PerLayer",
    "checked_title",
    "create",
    "describe",
    "fingerprint",
    "from_file",
    "identity",
    "instantiate",
    "load",
    "look_of",
    "moves",
    "names",
    "parameters",
    "parameters_in_use",
    "required",
    "sensitivity",
    "state_of",
]

FOLDER = Path(__file__).parent
OF_A_FILE = "file-"  # how the identity of a method in a file of its own begins
CONTRACT = tuple(f"{__name__}.base.{name}" for name in ("Adaptive", "Method", "PerLayer", "Tensor"))
# What is no name for a hyper-parameter: keys of a study and of a run, columns of tables, and what a method has besides.
TAKEN = """
    accountant accuracy augment augmentations blind commit control cpu data_sha256 dataset dataset_title delta device
    drawn epoch epochs epsilon epsilon_pld epsilon_rdp evaluation expected_batch_size file identity implementation label
    learning_rate listed_as method method_title model modified momentum noise_multiplier nonfinite_examples optimiser
    parameters peak peak_memory_mib reason sampling_rate seconds seconds_diagnostics seed sensitivity settings status
    step steps_taken sweep test_accuracy test_examples test_loss threads title torch tuned validation_accuracy
    validation_loss weight
"""
RESERVED = frozenset(TAKEN.split())
DIAGNOSTIC = "nonprivate_"  # what a run's curve has more columns of
LONGEST_TITLE = 100
KIND = "methods"  # of plug-ins


def names() -> list[str]:
    """Every method's name, in alphabetical order."""
    shipped = {path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if _is_method(path.stem)}
    return sorted(shipped.union(plugins.names(KIND)))


def _is_method(stem: str) -> bool:
    """Whether a file of this name holds a method: not the base of all, a helper, or what editors call `.#` and `._`."""
    return stem.isidentifier() and not stem.startswith("_") and stem != "base"


def load(name: str) -> type[Method]:
    """The method class called ``name``, or the one that a reference leads to, see ``plugins``. Raises ``ValueError``
    naming the known ones, or what is wrong with its file."""
    if plugins.is_file(name):
        return from_file(plugins.path_of(name))
    module = name.replace("-", "_")
    # a look at the one file: a study with many trials asks thousands of times
    if _is_method(module) and name == module.replace("_", "-") and (FOLDER / f"{module}.py").is_file():
        imported = plugins.run(f"{FOLDER.name}/{module}.py", lambda: importlib.import_module(f"{__name__}.{module}"))
        return _only_method(imported)
    if plugin := plugins.find(name, KIND):
        return _checked(plugin.load(), str(plugin))
    if (FOLDER / f"{name}.py").is_file() and module != name:
        raise ValueError(f"{FOLDER.name}/{name}.py: Python cannot import this name; rename the file {module}.py")
    meant = get_close_matches(name.lower(), names(), n=1)
    hint = f"did you mean {meant[0]}? " if meant else ""
    raise ValueError(f"unknown method {name!r}; {hint}known: {', '.join(names())} (each a file in {FOLDER.name}/)")


def from_file(path: Path) -> type[Method]:
    """The method class defined in a file of its own. Raises ``ValueError`` if there is none or more than one."""
    cls = _only_method(plugins.load(path))
    fingerprint(cls)  # now, while the file is what has been run
    return cls


def identity(name: str) -> str:
    """What a run's record calls a method: its ``name`` or, of one in a file of its own, that file's content, which is
    the same wherever it lies and whatever it is called."""
    return f"{OF_A_FILE}{fingerprint(load(name))}" if plugins.is_file(name) else name


def create(name: str, values: dict[str, Any]) -> Method:
    """An instance of method ``name``. Raises ``ValueError`` for an unknown, missing or invalid hyper-parameter."""
    return instantiate(name, load(name), values)


def instantiate(name: str, cls: type[Method], values: dict[str, Any]) -> Method:
    """An instance of ``cls``, called ``name`` in errors. Raises ``ValueError`` as ``create`` does."""
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"{name} has no hyper-parameter {unknown[0]!r}; it has: {', '.join(known)}")
    required = [key for key, field in known.items() if field.default is MISSING and key not in values]
    if required:
        raise ValueError(f"{name} needs a value for {required[0]!r}")
    return plugins.run(name, lambda: cls(**values))


def sensitivity(name: str, method: Method) -> float:
    """That of ``method``, called ``name`` in errors. Raises ``ValueError`` if it cannot say, or says what is none."""

    def ask() -> float:
        value: Any = method.sensitivity()
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"must return a number above 0, or math.inf where there is no bound, got {value!r}")
        return float(value)

    return plugins.run(f"{name}: sensitivity()", ask)


def parameters(method: Method) -> dict[str, float]:
    """All hyper-parameters with their values, defaults included."""
    return {field.name: getattr(method, field.name) for field in fields(method)}


def state_of(method: Method) -> dict[str, float]:
    """The hyper-parameters that what is released may change, with their values now; none of most methods."""
    return {name: getattr(method, name) for name in method.state} if isinstance(method, Adaptive) else {}


def moves(name: str) -> bool:
    """Whether settings of this method move with what was released. Raises ``ValueError`` as ``load`` does."""
    return issubclass(load(name), Adaptive)


def parameters_in_use(method: Method) -> dict[str, float]:
    """As ``parameters``, without those of inner momentum where there is none."""
    unused = ("iterates", "decay") if method.iterates == 1 else ()
    return {name: value for name, value in parameters(method).items() if name not in unused}


def required(name: str) -> list[str]:
    """The hyper-parameters of method ``name`` that have no default."""
    return [field.name for field in fields(load(name)) if field.default is MISSING]


def describe(cls: type[Method]) -> list[str]:
    """The hyper-parameters' names, with their defaults where they have one."""
    return [field.name if field.default is MISSING else f"{field.name}={field.default}" for field in fields(cls)]


@cache
def fingerprint(cls: type[Method]) -> str:
    """A digest of ``cls`` with all that it uses of this package and of files beside its own, comments, docstrings and
    formatting aside; as long as this process lasts that of the code that it runs, edited meanwhile or not.

    The contract in ``base`` is left out: it holds no formula. Raises ``ValueError`` for a file that is no Python.
    """
    module = sys.modules[cls.__module__]
    name = next(name for name, value in vars(module).items() if value is cls)
    return code.content(Path(str(module.__file__)), name, opaque=CONTRACT).digest


def checked_title(title: str) -> str:
    """``title``, as it can stand in tables and figures. Raises ``ValueError`` for one that cannot."""
    if not isinstance(title, str):
        raise ValueError("must be text")
    if not look_of(title) or len(title) > LONGEST_TITLE or title != title.strip():
        raise ValueError(f"must have 1 to {LONGEST_TITLE} characters, with no space around them")
    if found := next((character for character in title if _unprintable(character)), None):
        raise ValueError(f"must have one line of printable characters, has U+{ord(found):04X}")
    return title


def _unprintable(character: str) -> bool:
    """Control characters, ends of lines, halves of pairs, what turns the direction of the text behind it, and what
    Unicode has set apart as no character."""
    code = ord(character)
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return True
    apart = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return apart or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def look_of(title: str) -> str:
    """What is the same for titles that look the same: of other code points, widths or spaces."""
    seen = "".join(character for character in title if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).split())


@cache
def _only_method(module: ModuleType) -> type[Method]:
    found = plugins.defined(module, Method)  # type: ignore[type-abstract]  # none of these is made here
    if len(found) != 1:
        raise ValueError(f"{module.__file__}: must define exactly one Method, has {len(found)}")
    return _checked(found[0], str(module.__file__))


def _checked(cls: Any, place: str) -> type[Method]:
    if not (inspect.isclass(cls) and issubclass(cls, Method)):
        raise ValueError(f"{place}: must be a Method, is {cls!r}")
    if fault := _fault(cls):
        raise ValueError(f"{place}: {cls.__name__}{fault}")
    return cls


def _fault(cls: type[Method]) -> str | None:
    """What is wrong with the form of a method, as far as can be seen before it has settings."""
    if "__dataclass_params__" not in vars(cls):
        return ": write @dataclass(frozen=True, kw_only=True) above the class"
    if taken := [name for name in (field.name for field in fields(cls)) if name in RESERVED or DIAGNOSTIC in name]:
        return f".{taken[0]}: this name means something else in studies and tables; rename the hyper-parameter"
    for name in _asked_of(cls):
        found = inspect.getattr_static(cls, name)
        if name in cls.__abstractmethods__:
            return f".{name}: is missing; define it with def"
        if not inspect.isroutine(found) or inspect.iscoroutinefunction(found):
            return f".{name}: must be a method; define it with def, and no @property"
    if issubclass(cls, Adaptive) and not _are_fields(inspect.getattr_static(cls, "state", None), cls):
        return ".state: must name, in a tuple, the fields that advance may change"
    for name in ("control", "blind"):
        if not isinstance(inspect.getattr_static(cls, name), bool):
            return f".{name}: must be True or False"
    title = inspect.getattr_static(cls, "title", None)
    try:
        checked_title(title)
    except ValueError as error:
        return f".title: {error}, got {title!r}"
    return None


def _asked_of(cls: type[Method]) -> Iterator[str]:
    """What training calls of a method."""
    yield from ("weight", "sensitivity")
    if issubclass(cls, Adaptive):
        yield from ("statistic", "statistic_sensitivity", "statistic_multiplier", "advance")
    if issubclass(cls, PerLayer):
        yield "layer_weights"


def _are_fields(names: object, cls: type[Method]) -> bool:
    return isinstance(names, tuple) and bool(names) and set(names) <= {field.name for field in fields(cls)}
