"""The update rules, found by looking: every file of this folder that defines an ``UpdateRule`` is one."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from psasc_bench import code
from psasc_bench.optimisers.base import UpdateRule

FOLDER = Path(__file__).parent
ROOM = __package__ or FOLDER.name
CONTRACT = tuple(f"{ROOM}.base.{name}" for name in ("Moment", "State", "Tensor", "UpdateRule"))


def names() -> list[str]:
    """Every rule's name, in alphabetical order."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if _is_rule(path.stem))


def _is_rule(stem: str) -> bool:
    return stem.isidentifier() and not stem.startswith("_") and stem != "base"


@cache
def load(name: str) -> type[UpdateRule]:
    """The rule's class. Raises ``ValueError`` naming the known ones, or what is wrong with its file."""
    if name not in names():
        meant = get_close_matches(name.lower(), names(), n=1)
        hint = f"did you mean {meant[0]}? " if meant else ""
        raise ValueError(f"unknown update rule {name!r}; {hint}known: {', '.join(names())}")
    file = f"{FOLDER.name}/{name.replace('-', '_')}.py"
    try:
        module = importlib.import_module(f"{ROOM}.{name.replace('-', '_')}")
    except Exception as error:  # whatever somebody's file does is theirs to mend
        raise ValueError(" ".join(f"{file}: {type(error).__name__}: {error}".split())) from error
    of_module = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    found = [value for value in of_module if inspect.isclass(value) and issubclass(value, UpdateRule)]
    if len(found) != 1 or inspect.isabstract(found[0]) or "__dataclass_params__" not in vars(found[0]):
        raise ValueError(f"{file}: must define one UpdateRule, a dataclass with an update, has {len(found)}")
    cls: type[UpdateRule] = found[0]
    return cls


def create_rule(name: str, settings: Mapping[str, float]) -> UpdateRule:
    """An instance of rule ``name``. Raises ``ValueError`` for an unknown, missing or invalid setting."""
    cls = load(name)
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(settings) - set(known)):
        there_are = f"it has: {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{name} has no setting {unknown[0]!r}; {there_are}")
    if lacking := [key for key, field in known.items() if field.default is MISSING and key not in settings]:
        raise ValueError(f"{name} needs a value for {lacking[0]!r}")
    try:
        return cls(**settings)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def parameters(rule: UpdateRule) -> dict[str, float]:
    """All settings with their values, defaults included."""
    return {field.name: getattr(rule, field.name) for field in fields(rule)}


def describe(cls: type[UpdateRule]) -> list[str]:
    """The settings' names, with their defaults where they have one."""
    return [field.name if field.default is MISSING else f"{field.name}={field.default}" for field in fields(cls)]


@cache
def fingerprint(name: str) -> str:
    """A digest of rule ``name`` with all that it uses of this package and of files beside its own, comments, docstrings
    and formatting aside. The contract in ``base`` is left out: it holds no formula. Raises ``ValueError`` if there is
    none."""
    cls = load(name)
    return code.content(Path(str(sys.modules[cls.__module__].__file__)), cls.__name__, opaque=CONTRACT).digest
