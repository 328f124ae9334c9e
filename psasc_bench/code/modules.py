"""Python files as what they define and import, and where a name in them leads: parsed, never run."""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

from psasc_bench.code.effects import Names, acts, evaluated, hooked
from psasc_bench.code.syntax import bound_at_top, chains, imported, imports, text

PACKAGE = Path(__file__).parents[1]
INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Piece:
    """A statement or an expression, as it counts: its ``text``, the names that it takes from outside, each with the
    attributes behind it, its own imports, and the full names of what they load."""

    text: str
    chains: frozenset[tuple[str, ...]]
    imports: tuple[tuple[str, str], ...]
    modules: tuple[str, ...]


@cache
def piece(node: ast.AST, package: str) -> Piece:
    found = tuple(imports(node, package))
    ambiguous = len(set(found)) > len({name for name, _ in found})  # so that it matters what is imported when
    loaded = (imported(part, package) for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom))
    modules = tuple(target for pairs in loaded for _, target in pairs)
    return Piece(text(node, imports=ambiguous), frozenset(chains(node)), found, modules)


@dataclass(frozen=True, eq=False)
class Module:
    """A file. Its imports start from the folders ``roots``: of a file that is run by itself, from its own before the
    one above its outermost package; of what it imports, from the same."""

    name: str
    path: Path
    roots: tuple[str, ...]
    statements: tuple[ast.stmt, ...]

    @property
    def package(self) -> str:
        return self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """By name: the statements at the top that give it a value or change it."""
        found: dict[str, list[ast.stmt]] = defaultdict(list)
        for statement in self.statements:
            for name in bound_at_top(statement):
                found[name].append(statement)
        return dict(found)

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Those that may change what others define, in their order: such as act, as ``register(f)`` does; such as give
        another value to a name that has one; and imports of files here that do so."""
        return [
            statement
            for statement in self.statements
            if statement in self._own_effects or any(one.acting for one in self._imported(statement))
        ]

    @cached_property
    def acting(self) -> bool:
        """Whether to import it has an effect, of its own or of what it imports."""
        return any(module._own_effects for module in self._reached)

    def effects_before(self, node: ast.AST) -> int:
        """How many effects the module has had when it comes to ``node``, which is an expression or a statement."""
        return sum(_place(effect) < _place(node) for effect in self.effects)

    @cached_property
    def _own_effects(self) -> set[ast.stmt]:
        names = Names(self.imports, self.definitions, hooked=self._hooked)
        found, bound = set[ast.stmt](), dict[str, str]()
        for statement in self.statements:
            given = dict.fromkeys(bound_at_top(statement), "") | dict(self._imports_of(statement))
            again = any(name in bound and (not target or bound[name] != target) for name, target in given.items())
            if not given or again or any(acts(node, names) for node in evaluated(statement)):
                found.add(statement)
            bound |= given
        return found

    @cached_property
    def _hooked(self) -> bool:
        return any(hooked(statement) for module in self._reached for statement in module.statements)

    @cached_property
    def _reached(self) -> list[Module]:
        """Itself, and the files here that it leads to by what is imported at import."""
        found = [self]
        for module in found:  # which grows
            for statement in module.statements:
                found += [one for one in module._imported(statement) if one not in found]
        return found

    def _imported(self, statement: ast.stmt) -> list[Module]:
        """The files here that are imported where ``statement`` is run."""
        return list(dict.fromkeys(one for _, target in self._imports_of(statement) for one in self.way(target)))

    def _imports_of(self, statement: ast.stmt) -> list[tuple[str, str]]:
        nodes = (node for node in evaluated(statement) if isinstance(node, ast.Import | ast.ImportFrom))
        return [pair for node in nodes for pair in imported(node, self.package)]

    @cached_property
    def imports(self) -> dict[str, list[str]]:
        """By local name: what is imported, as ``a.module.name``; of a package, also what its stub says it offers."""
        found: dict[str, list[str]] = defaultdict(list)
        stub = self.path.with_suffix(".pyi")
        for statement in [*self.statements, *(parse(stub, stub.read_bytes()) if stub.is_file() else ())]:
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for name, target in imports(statement, self.package):
                    found[name].append(target)
        return dict(found)

    def own(self, dotted: str) -> tuple[Module, list[str]] | None:
        """The longest beginning of ``dotted`` that is a file beside this one, or of this package; and what is left."""
        way = self.way(dotted)
        return (way[-1], dotted.split(".")[len(way[-1].name.split(".")) :]) if way else None

    def way(self, dotted: str) -> list[Module]:
        """The files here that importing ``dotted`` runs: the longest beginning of it that is one, behind those of the
        packages that this is in."""
        parts = dotted.split(".")
        if parts[0] == PACKAGE.name:
            return _way(str(PACKAGE.parent), parts, None)[-1:]  # what is above says what is offered, and no more
        if self.roots[-1].endswith(INSTALLED) and parts[0] != self.name.partition(".")[0]:
            return []  # all that is installed lies there
        return next(filter(None, (_way(root, parts, self.roots) for root in self.roots)), [])


def _way(root: str, parts: list[str], roots: tuple[str, ...] | None) -> list[Module]:
    stem, found = root, list[Module]()
    for end, part in enumerate(parts, start=1):
        stem = os.path.join(stem, part)
        if path := next(filter(os.path.isfile, (os.path.join(stem, "__init__.py"), f"{stem}.py")), None):
            found.append(_module(".".join(parts[:end]), Path(path), roots or (root,), Path(path).read_bytes()))
        if not os.path.isdir(stem):  # a folder without an __init__.py is a package, too
            break
    return found


def read(path: Path) -> Module:
    """The module in ``path``. Raises ``ValueError`` for a file that is no Python, and ``OSError``."""
    root, names = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (root / "__init__.py").is_file() or _installed_below(root):
        root, names = root.parent, [root.name, *names]
    alone = not (path.is_relative_to(PACKAGE) or root.name in INSTALLED)
    roots = dict.fromkeys([str(path.parent), str(root)] if alone else [str(root)])
    return _module(".".join(names), path, tuple(roots), path.read_bytes())


def _installed_below(folder: Path) -> bool:
    """Whether it is in a folder of what is installed, so that it is a package even without an ``__init__.py``."""
    return any(above.name in INSTALLED for above in folder.parents)


def reached(path: Path) -> set[Path]:
    """The files here that importing ``path`` may lead to by the import statements in them, itself among them."""
    found = [read(path)]
    for module in found:  # which grows
        nodes = (node for statement in module.statements for node in ast.walk(statement))
        imports = (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
        targets = {target for node in imports for _, target in imported(node, module.package)}
        found += [one for one in dict.fromkeys(chain.from_iterable(map(module.way, targets))) if one not in found]
    return {module.path.resolve() for module in found}


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


@cache
def _module(name: str, path: Path, roots: tuple[str, ...], source: bytes) -> Module:
    return Module(name, path, roots, tuple(parse(path, source)))


def parse(path: Path, source: bytes) -> Iterator[ast.stmt]:
    """The statements of ``source``, which is what is in ``path``, but for docstrings. Raises ``ValueError``."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f" line {error.lineno}:" if isinstance(error, SyntaxError) else ""
        raise ValueError(f"{path}:{line} not Python: {error.args[0]}") from None
    for statement in tree.body:
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement
