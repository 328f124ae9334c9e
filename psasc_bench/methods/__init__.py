"""The methods under test, found by looking: every file of this folder that defines a ``Method`` is one."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from psasc_bench import code
from psasc_bench.methods.base import LARGEST, SMALLEST, Method

__all__ = [
    "LARGEST",
    "SMALLEST",
    "Method",
    "create",
    "describe",
    "fingerprint",
    "from_file",
    "instantiate",
    "load",
    "names",
    "parameters",
    "required",
]

FOLDER = Path(__file__).parent
CONTRACT = tuple(f"{__name__}.base.{name}" for name in ("Method", "Tensor"))


def names() -> list[str]:
    """Every method's name, in alphabetical order."""
    files = (path.stem for path in FOLDER.glob("[!_]*.py") if path.stem.isidentifier())  # nor `.#` and `._` of editors
    return sorted(stem.replace("_", "-") for stem in files if stem != "base")


def load(name: str) -> type[Method]:
    """The method class called ``name``. Raises ``ValueError`` naming the known ones, or what is wrong with its file."""
    module = name.replace("-", "_")
    if name not in names():
        if (FOLDER / f"{name}.py").is_file() and module != name:
            raise ValueError(f"{FOLDER.name}/{name}.py: Python cannot import this name; rename the file {module}.py")
        meant = get_close_matches(name, names(), n=1)
        hint = f"did you mean {meant[0]}? " if meant else ""
        raise ValueError(f"unknown method {name!r}; {hint}known: {', '.join(names())} (each a file in {FOLDER.name}/)")
    try:
        return _only_method(importlib.import_module(f"{__name__}.{module}"))
    except ValueError:
        raise
    except Exception as error:  # whatever somebody's file does at import is theirs to mend
        raise ValueError(f"{FOLDER.name}/{module}.py: {type(error).__name__}: {error}") from error


def from_file(path: Path) -> type[Method]:
    """The method class defined in a file of its own. Raises ``ValueError`` if there is none or more than one."""
    # known under a name of its own, which dataclasses and `inspect` look its source up by
    name = f"{__name__}.from_file_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"{path}: not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's file does at import is theirs to mend
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    return _only_method(module)


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
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def parameters(method: Method) -> dict[str, float]:
    """All hyper-parameters with their values, defaults included."""
    return {field.name: getattr(method, field.name) for field in fields(method)}


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


def _only_method(module: ModuleType) -> type[Method]:
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Method) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"{module.__file__}: must define exactly one Method, has {len(found)}")
    return found[0]
