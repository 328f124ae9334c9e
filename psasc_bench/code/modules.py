"""Python files as what they define and import, and where a name in them leads: parsed, never run."""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from psasc_bench.code.syntax import bound_at_top, chains, imports, text

PACKAGE = Path(__file__).parents[1]
INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Piece:
    """A statement or an expression, as it counts: its ``text``, the names that it takes from outside, each with the
    attributes behind it, and its own imports."""

    text: str
    chains: frozenset[tuple[str, ...]]
    imports: tuple[tuple[str, str], ...]


@cache
def piece(node: ast.AST, package: str) -> Piece:
    return Piece(text(node), frozenset(chains(node)), tuple(imports(node, package)))


@dataclass(frozen=True, eq=False)
class Module:
    """A file. ``root`` is the folder that its imports start from: the one above its outermost package."""

    name: str
    path: Path
    root: str
    statements: tuple[ast.stmt, ...]

    @property
    def package(self) -> str:
        return self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]

    @cached_property
    def definitions(self) -> Mapping[str, list[ast.stmt]]:
        """By name: the statements at the top that give it a value or change it. By no name: those that define nothing
        and may do anything, as ``register(f)``."""
        found: dict[str, list[ast.stmt]] = defaultdict(list)
        for statement in self.statements:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                for name in bound_at_top(statement) or ("",):
                    found[name].append(statement)
        return found

    @cached_property
    def imports(self) -> Mapping[str, list[str]]:
        """By local name: what is imported, as ``a.module.name``; of a package, also what its stub says it offers."""
        found: dict[str, list[str]] = defaultdict(list)
        stub = self.path.with_suffix(".pyi")
        for statement in [*self.statements, *(parse(stub, stub.read_bytes()) if stub.is_file() else ())]:
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for name, target in imports(statement, self.package):
                    found[name].append(target)
        return found

    def own(self, dotted: str) -> tuple[Module, list[str]] | None:
        """The longest beginning of ``dotted`` that is a file beside this one, or of this package; and what is left."""
        parts = dotted.split(".")
        roots = [self.root]
        if self.root.endswith(INSTALLED) and parts[0] != self.name.partition(".")[0]:
            roots = []  # all that is installed lies there
        if parts[0] == PACKAGE.name:
            roots.append(str(PACKAGE.parent))
        for root in roots:
            stem, found = root, None
            for end, part in enumerate(parts, start=1):
                stem = os.path.join(stem, part)
                files = (os.path.join(stem, "__init__.py"), f"{stem}.py")
                if not (path := next(filter(os.path.isfile, files), None)):
                    break
                found = read(Path(path)), parts[end:]
            if found:
                return found
        return None


def read(path: Path) -> Module:
    """The module in ``path``. Raises ``ValueError`` for a file that is no Python, and ``OSError``."""
    root, names = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (root / "__init__.py").is_file():
        root, names = root.parent, [root.name, *names]
    return _module(".".join(names), path, str(root), path.read_bytes())


@cache
def _module(name: str, path: Path, root: str, source: bytes) -> Module:
    return Module(name, path, root, tuple(parse(path, source)))


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
