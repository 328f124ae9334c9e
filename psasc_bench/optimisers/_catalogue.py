"""The update rules, found by looking: every file of this folder that defines an ``UpdateRule`` is one; others are in
files of somebody's own, or offered by installed packages, see ``plugins``."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from psasc_bench import code, plugins
from psasc_bench.optimisers.base import UpdateRule

FOLDER = Path(__file__).parent
ROOM = __package__ or FOLDER.name
CONTRACT = tuple(f"{ROOM}.base.{name}" for name in ("Moment", "State", "Tensor", "UpdateRule"))
KIND = "optimisers"  # of plug-ins


def names() -> list[str]:
    """Every rule's name, in alphabetical order."""
    return sorted({*_shipped(), *plugins.names(KIND)})


def _shipped() -> list[str]:
    return [path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if _is_rule(path.stem)]


def _is_rule(stem: str) -> bool:
    return stem.isidentifier() and not stem.startswith("_") and stem != "base"


def called(name: str) -> str:
    """A rule's name among others of its chain: ``name`` or, of a reference to a file, that file's, with dashes."""
    return re.sub(r"[_.]", "-", plugins.path_of(name).stem) if plugins.is_file(name) else name


@cache
def load(name: str) -> type[UpdateRule]:
    """The class of rule ``name``, or the one that a reference leads to, see ``plugins``. Raises ``ValueError`` naming
    the known ones, or what is wrong with its file."""
    if plugins.is_file(name):
        cls = _only_rule(plugins.load(plugins.path_of(name)))
        _fingerprint(cls)  # now, while the file is what has been run
        return cls
    if name in _shipped():
        stem = name.replace("-", "_")
        return _only_rule(plugins.run(f"{FOLDER.name}/{stem}.py", lambda: importlib.import_module(f"{ROOM}.{stem}")))
    if plugin := plugins.find(name, KIND):
        return _checked(plugin.load(), str(plugin))
    meant = get_close_matches(name.lower(), names(), n=1)
    hint = f"did you mean {meant[0]}? " if meant else ""
    raise ValueError(f"unknown update rule {name!r}; {hint}known: {', '.join(names())}")


def _only_rule(module: ModuleType) -> type[UpdateRule]:
    found = plugins.defined(module, UpdateRule)  # type: ignore[type-abstract]
    if len(found) != 1:
        raise ValueError(f"{module.__file__}: must define exactly one UpdateRule, has {len(found)}")
    return _checked(found[0], str(module.__file__))


def _checked(cls: Any, place: str) -> type[UpdateRule]:
    if not (inspect.isclass(cls) and issubclass(cls, UpdateRule)):
        raise ValueError(f"{place}: must be an UpdateRule, is {cls!r}")
    if "__dataclass_params__" not in vars(cls):
        raise ValueError(f"{place}: {cls.__name__}: write @dataclass(frozen=True, kw_only=True) above the class")
    if inspect.isabstract(cls):
        raise ValueError(f"{place}: {cls.__name__}.update: is missing; define it with def")
    for name in ("start", "update", "evaluated"):
        if not inspect.isroutine(inspect.getattr_static(cls, name)):
            raise ValueError(f"{place}: {cls.__name__}.{name}: must be a method; define it with def, and no @property")
    if not isinstance(getattr(cls, "title", None), str):
        raise ValueError(f"{place}: {cls.__name__}.title: must be text, what tables and figures call it")
    if not isinstance(cls.fractions, tuple) or set(cls.fractions) - {field.name for field in fields(cls)}:
        raise ValueError(f"{place}: {cls.__name__}.fractions: must be a tuple of names of its settings")
    return cls


def create_rule(name: str, settings: Mapping[str, float]) -> UpdateRule:
    """An instance of rule ``name``. Raises ``ValueError`` for an unknown, missing or invalid setting."""
    cls, name = load(name), called(name)
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(settings) - set(known)):
        there_are = f"it has: {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{name} has no setting {unknown[0]!r}; {there_are}")
    if lacking := [key for key, field in known.items() if field.default is MISSING and key not in settings]:
        raise ValueError(f"{name} needs a value for {lacking[0]!r}")
    return plugins.run(name, lambda: cls(**settings))


def parameters(rule: UpdateRule) -> dict[str, float]:
    """All settings with their values, defaults included."""
    return {field.name: getattr(rule, field.name) for field in fields(rule)}


def describe(cls: type[UpdateRule]) -> list[str]:
    """The settings' names, with their defaults where they have one."""
    return [field.name if field.default is MISSING else f"{field.name}={field.default}" for field in fields(cls)]


def fingerprint(name: str) -> str:
    """A digest of rule ``name`` with all that it uses of this package and of files beside its own, comments, docstrings
    and formatting aside, as this process found it first. The contract in ``base`` is left out: it holds no formula.
    Raises ``ValueError`` if there is none."""
    return _fingerprint(load(name))


@cache
def _fingerprint(cls: type[UpdateRule]) -> str:
    return code.content(Path(str(sys.modules[cls.__module__].__file__)), cls.__name__, opaque=CONTRACT).digest


def identity(name: str) -> str:
    """What a run's record calls a rule: its ``name`` or, of one in a file of its own, that file's content, which is the
    same wherever it lies and whatever it is called."""
    return f"file-{fingerprint(name)}" if plugins.is_file(name) else name
