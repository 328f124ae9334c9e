"""What code may keep notes in, told before and after: its attributes, globals, defaults, and whatever these lead to."""

from __future__ import annotations

import functools
import hashlib
import random
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import getattr_static
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from psasc_bench.plugins import is_here

PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, np.generic, torch.dtype, torch.device)
SEVERAL = (list, tuple, deque, set, frozenset)
AROUND = ("__func__", "__self__", "__wrapped__", "fget", "fset", "fdel", "func")  # where wrappers have their functions
WRAPPERS = (staticmethod, classmethod, property, functools.cached_property, MethodType, type(functools.cache(len)))


@dataclass(frozen=True)
class Snapshot:
    """Taken when it is made: of ``subjects`` by their names, of the parts of their classes below ``base``, and of all
    that these lead to in files that are neither installed nor Python's nor this package's."""

    subjects: Mapping[str, object]
    base: type
    taken: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "taken", _taken(self.subjects, self.base))

    def changes(self) -> int:
        """How many attributes, globals, defaults and states of random generators are others now."""
        now = _taken(self.subjects, self.base)
        return sum(self.taken.get(key) != now.get(key) for key in self.taken.keys() | now.keys())


def _taken(subjects: Mapping[str, object], base: type) -> dict[str, str]:
    walk = _Walk()
    walk.add("random", {"python": random.getstate(), "numpy": np.random.get_state()})
    walk.add("random of torch", {"torch": torch.random.get_rng_state()})
    for name, subject in subjects.items():
        own = {key: value for key, value in vars(subject).items() if not _of_itself(subject, key)}
        walk.add(name, own)
        for cls in type(subject).__mro__:
            if issubclass(cls, base) and cls is not base:
                walk.enter(cls)
    return walk.digests()


def _of_itself(subject: object, key: str) -> bool:
    """Whether an attribute is a function of the others, computed when it is first asked for."""
    return isinstance(getattr_static(type(subject), key, None), functools.cached_property)


class _Walk:
    """Through names and their values, of classes and modules, each once, which lead to more of them."""

    def __init__(self) -> None:
        self._spaces: list[tuple[str, Mapping[str, object]]] = []
        self._known: set[int] = set()

    def add(self, name: str, space: Mapping[str, object]) -> None:
        if id(space) not in self._known:
            self._known.add(id(space))
            self._spaces.append((name, space))

    def enter(self, cls: type) -> None:
        """A class, and the globals of its functions, wherever they are."""
        if id(cls) not in self._known:
            self._known.add(id(cls))
            self._spaces.append((cls.__qualname__, vars(cls)))
            for value in vars(cls).values():
                if isinstance(value, FunctionType) and value.__module__ == cls.__module__:
                    self.add(cls.__module__, value.__globals__)

    def digests(self) -> dict[str, str]:
        found = {}
        for name, space in self._spaces:  # which grow
            for key, value in list(space.items()):
                if isinstance(value, FunctionType) or not (key.startswith("__") and key.endswith("__")):
                    parts = "\n".join(self._parts(value, {}))
                    found[f"{name}.{key}"] = hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()
        return found

    def _parts(self, value: Any, seen: dict[int, tuple[int, object]]) -> Iterator[str]:
        """What it is and holds, to any depth; of what has been ``seen``, which is kept alive, its number."""
        yield type(value).__qualname__
        if isinstance(value, PLAIN):
            yield repr(value)
            return
        if id(value) in seen:
            yield f"number {seen[id(value)][0]}"
            return
        seen[id(value)] = len(seen), value
        for part in self._inside(value):
            if isinstance(part, _Said):
                yield part
            else:
                yield from self._parts(part, seen)

    def _inside(self, value: Any) -> Iterator[object]:
        """The next things to look at."""
        if isinstance(value, Tensor):
            yield from (value.dtype, tuple(value.shape), value.grad if value.is_leaf else None)
            yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        elif isinstance(value, np.ndarray):
            yield from (str(value.dtype), value.shape, value.tolist() if value.dtype.hasobject else value.tobytes())
        elif isinstance(value, ModuleType):
            yield _Said(value.__name__)
            if is_here(str(vars(value).get("__file__"))):
                self.add(value.__name__, vars(value))
        elif isinstance(value, type):
            yield _Said(value.__qualname__)
            if _is_ours(value):
                self.enter(value)
        elif isinstance(value, FunctionType):
            yield from (value.__qualname__, value.__defaults__, value.__kwdefaults__, vars(value))
            yield from (_content(cell) for cell in value.__closure__ or ())
            if is_here(str(value.__globals__.get("__file__"))):
                self.add(value.__module__, value.__globals__)
        elif isinstance(value, WRAPPERS):
            yield from (getattr(value, name, None) for name in AROUND)
        elif isinstance(value, GeneratorType):
            yield from (value.gi_frame.f_lasti, dict(value.gi_frame.f_locals)) if value.gi_frame else ()
        elif isinstance(value, torch.Generator):
            yield value.get_state()
        elif isinstance(value, random.Random):
            yield value.getstate()
        else:
            yield from self._inside_object(value)

    def _inside_object(self, value: Any) -> Iterator[object]:
        if isinstance(value, dict):
            yield from (part for pair in list(value.items()) for part in pair)
        elif isinstance(value, SEVERAL):
            yield from list(value)
        if _is_ours(type(value)):
            yield type(value)
            yield from (vars(value) if hasattr(value, "__dict__") else None, _slots(value))
        elif not isinstance(value, (dict, *SEVERAL)):
            yield _reduced(value)


class _Said(str):
    """Text, rather than a value to look at."""


def _is_ours(cls: type) -> bool:
    """Whether it is written in a file here."""
    module = sys.modules.get(cls.__module__)
    functions = [value for value in vars(cls).values() if isinstance(value, FunctionType)]
    places = [vars(module).get("__file__")] if module else [one.__globals__.get("__file__") for one in functions]
    return any(is_here(str(place)) for place in places)


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return None


def _slots(value: object) -> list[object]:
    names = [slot for cls in type(value).__mro__ for slot in _as_tuple(vars(cls).get("__slots__", ()))]
    return [getattr(value, name, None) for name in names if name not in ("__dict__", "__weakref__")]


def _as_tuple(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _reduced(value: object) -> object:
    """As ``pickle`` would have it, of a library's object; else as it shows itself."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return value.__reduce_ex__(4)
    except Exception:  # each says in its own way that it cannot
        return repr(value)
