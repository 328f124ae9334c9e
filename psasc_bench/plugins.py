"""Code from anywhere: in a file of somebody's own, or offered by an installed package.

A *reference* stands where a name would. ``path/my_method.py`` is what the file defines, ``path/nets.py::small`` is what
it calls ``small``. Any other text is a name, which an installed package may offer as an entry point of the group
``psasc_bench.methods``, ``.models``, ``.sources`` or ``.optimisers``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import random
import re
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from psasc_bench import code
from psasc_bench.code import PACKAGE, Content

SUFFIX, WITHIN = ".py", "::"
NAME = r"[a-z0-9]+([-_][a-z0-9]+)*"  # of what an installed package offers
FAULTS = (Exception, SystemExit)  # whatever somebody's code does is theirs to mend; but an interrupt is no fault
T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """What is called ``name`` in the file ``path``; ``module`` is what that is imported as, if it is installed."""

    path: Path
    name: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.path}{WITHIN}{self.name}"

    def load(self) -> Any:
        """What it is, as this process found it first, and as its ``content`` says. Raises ``ValueError``, in a line
        with the file, for whatever goes wrong there."""
        return _loaded(self)

    def content(self) -> Content:
        """Its content as this process found it first, whether it is edited meanwhile or not, see ``code.content``.
        Raises ``ValueError``."""
        return _content(self)


@cache
def _content(plugin: Plugin) -> Content:
    return code.content(plugin.path, plugin.name)


@cache
def _loaded(plugin: Plugin) -> Any:
    known, path = _content(plugin), plugin.path
    module = _imported(plugin) if plugin.module else load(path)
    # a record would vouch for other code than was run
    if code.content(path, plugin.name).digest != known.digest:
        raise ValueError(f"{path}: was edited while this process ran; start it again")
    return run(str(plugin), lambda: getattr(module, plugin.name))


def is_file(reference: str) -> bool:
    """Whether it is a file's, and no name."""
    return reference.partition(WITHIN)[0].endswith(SUFFIX)


def reference(file: str, name: str | None = None, *, folder: Path | None = None) -> str:
    """To what ``file``, seen from ``folder``, defines or calls ``name``; an absolute one, which holds wherever it is
    read."""
    path = os.path.normpath(Path.cwd() / (folder or "") / file)
    return f"{path}{WITHIN}{name}" if name else path


def path_of(reference: str) -> Path:
    """The file of a reference to one."""
    return Path(reference.partition(WITHIN)[0])


def shown(reference: str) -> str:
    """For people to read: without the folder, which says nothing of what it is; a name is as it is."""
    return os.path.basename(reference) if is_file(reference) else reference


def find(reference: str, kind: str) -> Plugin | None:
    """What ``reference`` stands for, of the ``kind`` that follows ``psasc_bench.`` in the name of a group; None if it
    is a name that no installed package offers. Nothing of a file is run. Raises ``ValueError`` for a file that is not
    there or does not define what is asked for, and for a name that is offered twice."""
    if is_file(reference):
        return _in_file(path_of(reference), reference.partition(WITHIN)[2])
    return _installed(reference, kind)


def names(kind: str) -> list[str]:
    """Those that installed packages offer, as far as a study can name them."""
    return sorted({entry.name for entry in _entries(kind) if re.fullmatch(NAME, entry.name)})


def _in_file(path: Path, name: str) -> Plugin:
    """Without a name, what is defined there is the one function or class that has no underscore before its name."""
    defined = run_quietly(path, lambda: code.read(path)).definitions
    definitions = (ast.FunctionDef, ast.ClassDef)
    public = [key for key, made in defined.items() if isinstance(made[-1], definitions) and not key.startswith("_")]
    if name and name not in defined:
        raise ValueError(f"{path}: defines no {name}; it defines: {', '.join(public) or 'nothing'}")
    if not name and len(public) != 1:
        which = f"{', '.join(public)}; say which by `name:`" if public else "none"
        raise ValueError(f"{path}: must define one function or class to be used, has {which}")
    return Plugin(path, name or public[0])


def run_quietly(path: Path, read: Callable[[], T]) -> T:
    """What comes of reading ``path``. Raises ``ValueError``, in a line, for a file that cannot be read."""
    try:
        return read()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None


@cache
def _entries(kind: str) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=f"{PACKAGE.name}.{kind}"))


def _installed(name: str, kind: str) -> Plugin | None:
    offered = {entry.value for entry in _entries(kind) if entry.name == name}
    if not offered:
        return None
    if len(offered) > 1:
        raise ValueError(f"{name!r} is offered by {' and '.join(sorted(offered))}; uninstall one of their packages")
    module, _, attribute = offered.pop().partition(":")
    place = f"entry point {name} = {module}:{attribute}"
    spec = run(place, lambda: importlib.util.find_spec(module))
    if spec is None or spec.origin is None or not attribute.isidentifier():
        raise ValueError(f"{place}: must name a definition in a Python module, as package.module:definition")
    return Plugin(Path(spec.origin), attribute, module)


def defined(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The classes that derive from ``base`` and are defined in ``module``, rather than imported there."""
    classes = [value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, base)]
    return [cls for cls in classes if cls.__module__ == module.__name__]


def load(path: Path) -> ModuleType:
    """The module in ``path``, which is run once in a process, as it was then; it may import files beside it by their
    bare names. Raises ``ValueError``, in a line with the file, if it is no Python file, and for whatever goes wrong in
    it."""
    if path.suffix != SUFFIX or not path.is_file():
        raise ValueError(f"{path}: not a Python file")
    return _load(path.resolve())


@cache
def _load(path: Path) -> ModuleType:
    source = run_quietly(path, path.read_bytes)
    # known under a name of its own, which dataclasses and `inspect` look its source up by
    name = f"{PACKAGE.name}_file_{hashlib.sha256(bytes(path)).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with _beside(path) as own, _watched(path) as loaded:
        # not by its loader, which takes bytecode of the same second and size for that of this text
        run(str(path), lambda: exec(compile(source, str(path), "exec"), vars(module)))
        for file in (path, *loaded()):
            _check_imports(file, own)
    return module


def _imported(plugin: Plugin) -> ModuleType:
    with _watched(plugin.path):
        return run(str(plugin.path), lambda: importlib.import_module(plugin.module))


@contextmanager
def _beside(path: Path) -> Iterator[set[str]]:
    """Files beside ``path``, whose bare names these are, can be imported by them, even if something else has been under
    these; and are forgotten afterwards, for another folder's file may have a neighbour of the same name."""
    folder, before = path.parent, set(sys.modules)
    own = {other.stem for other in folder.iterdir() if other.suffix == SUFFIX or (other / "__init__.py").is_file()}
    own -= {PACKAGE.name, *sys.builtin_module_names}
    hidden = {name: sys.modules.pop(name) for name in _loaded_of(own)}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield own
    finally:
        sys.path.remove(str(folder))
        _forget(_loaded_of(own))
        _forget(_here(before))
        sys.modules.update(hidden)


def _loaded_of(names: Collection[str]) -> list[str]:
    """Which modules have been imported that are called so, or are in packages that are."""
    return [name for name in sys.modules if name.partition(".")[0] in names]


def _here(before: Collection[str]) -> dict[str, Path | None]:
    """Which modules have been imported since of files here, with the files, and which are folders of such."""
    found: dict[str, Path | None] = {}
    for name in sys.modules.keys() - before:
        own = vars(sys.modules[name])  # no attribute: torch has modules that make up what they are asked for
        file, folders = own.get("__file__"), own.get("__path__") or ()
        if any(map(is_here, [file] if file else folders)):
            found[name] = Path(file).resolve() if file else None
    return found


def is_here(place: str) -> bool:
    """Whether it is a file or a folder that is neither installed nor Python's nor this package's: libraries are."""
    path = Path(place)
    installed = any(part in code.INSTALLED for part in path.parts) or any(map(path.is_relative_to, _libraries()))
    return path.is_absolute() and path.exists() and not installed


@cache
def _libraries() -> list[str]:
    return [str(PACKAGE), *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib"))]


def _forget(names: Iterable[str]) -> None:
    for name in names:
        del sys.modules[name]


@contextmanager
def _watched(path: Path) -> Iterator[Callable[[], list[Path]]]:
    """While ``path`` is run: gives what has been imported from files here. Raises ``ValueError`` for such a file that
    no import statement leads to, since an edit of it would go unseen; and for what is changed for all others. That is
    put back, as are random states: some libraries draw as they are imported."""
    before, settings = set(sys.modules), {setting.name: setting.get() for setting in _settings()}

    def loaded() -> list[Path]:
        return [file for file in _here(before).values() if file]

    changed: list[str] = []
    try:
        yield loaded
    finally:
        for setting in _settings():  # of torch, too, if it was not loaded before
            known = settings.get(setting.name, setting.fresh)
            if known is not None and setting.get() != known:
                setting.put(known)
                changed += [setting.name] if setting.refused else []
    if changed:
        raise ValueError(f"{path}: changes {changed[0]} as it is loaded, for all that this process runs; leave it be")
    if strays := set(loaded()) - code.reached(path):
        _forget(_here(before))
        raise ValueError(
            f"{path}: loads {min(strays)}, to which no import statement leads from there, so that an edit of it would "
            "go unseen; put it beside this file, and import it by its name"
        )


@dataclass(frozen=True)
class _Setting:
    """What a file could change for all that a process runs; ``fresh`` is its value in a new process, if it has one."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]
    fresh: Any = None
    refused: bool = True


def _settings() -> Iterator[_Setting]:
    """Of Python; and of numpy and torch, if somebody has loaded them."""
    yield _Setting("sys.path", lambda: list(sys.path), lambda known: sys.path.__setitem__(slice(None), known))
    yield _Setting("random", random.getstate, random.setstate, refused=False)
    if numpy := sys.modules.get("numpy"):
        yield _Setting("numpy's errors", numpy.geterr, lambda known: numpy.seterr(**known))
        yield _Setting(
            "numpy.random",
            lambda: [part.tolist() if hasattr(part, "tolist") else part for part in numpy.random.get_state()],
            numpy.random.set_state,
            refused=False,
        )
    if torch := sys.modules.get("torch"):
        precision = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
        deterministic = torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
        yield _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32)
        yield _Setting("torch's threads", torch.get_num_threads, torch.set_num_threads)
        yield _Setting("torch's deterministic algorithms", *deterministic, fresh=False)
        yield _Setting("torch's gradients", torch.is_grad_enabled, torch.set_grad_enabled, fresh=True)
        yield _Setting("torch's precision of products", *precision, fresh="highest")
        yield _Setting(
            "torch.random",
            lambda: torch.random.get_rng_state().tolist(),
            lambda known: torch.random.set_rng_state(torch.tensor(known, dtype=torch.uint8)),
            refused=False,
        )


def _check_imports(path: Path, names: Collection[str]) -> None:
    """Raises ``ValueError`` for an import within a function of one of ``names``, or of what else is no library: when
    that is called, something else may be under this name."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    statements = [node for statement in code.read(path).statements for node in ast.walk(statement)]
    inside = [node for function in statements if isinstance(function, functions) for node in ast.walk(function)]
    for node in inside:
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if late := [module for module in modules if _is_late(module.partition(".")[0], names)]:
                raise ValueError(f"{path}: line {node.lineno}: import {late[0]} at the top of the file")


def _is_late(name: str, names: Collection[str]) -> bool:
    if name in names or not name or name in sys.modules:
        return name in names
    spec = importlib.util.find_spec(name)
    return spec is not None and any(map(is_here, spec.submodule_search_locations or [spec.origin or ""]))


def run(place: str, action: Callable[[], T]) -> T:
    """What comes of somebody's code. Raises ``ValueError`` with a line that names ``place`` for whatever goes wrong."""
    try:
        return action()
    except FAULTS as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise ValueError(" ".join(f"{place}: {kind}{error}".split())) from error


def call(place: str, function: Any, *arguments: Any) -> Any:
    """As ``run``, of a ``function`` that must take these ``arguments``."""
    try:
        inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: cannot be called with {len(arguments)} arguments: {error}") from None
    return run(place, lambda: function(*arguments))
