"""A definition with all that it uses, and that uses, as far as it is written here; of libraries, the names alone.

    content = sha256 of, for the definition and then for each that is reached from it, in the order of reaching:
              its syntax as text; of each name that it takes from outside: which one it is; what its module does at
              import beyond defining, and how much of that before it is evaluated; and the bytes of files beside it
              that are no Python and that it names

The order is that of the names, so that nothing depends on where a definition stands, or in which file.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from psasc_bench.code.effects import reads
from psasc_bench.code.modules import PACKAGE, Module, Piece, parse, piece, read
from psasc_bench.code.syntax import text

DIGITS = 16
PYTHON = (".py", ".pyi")  # stubs say what a package offers, and from where
PLUG_INS = ("methods", "optimisers")  # rooms with a file for each formula, and with what these read beside them
LONGEST = 100  # name of a file; of what is longer, some systems fail to say whether it is one
# These alter every record alike: `records.GENERATION` stands for them.
MACHINERY = tuple(f"{PACKAGE.name}.{room}" for room in ("engine", "privacy", "training"))


@dataclass(frozen=True)
class Content:
    """``digest`` is the first 16 hex digits of a SHA-256; ``libraries`` are the names, as ``torch.nn.Linear``, that are
    taken from elsewhere; ``syntax`` are the nodes of all definitions."""

    digest: str
    libraries: frozenset[str]
    syntax: tuple[ast.AST, ...]


@dataclass(frozen=True)
class _Part:
    """A piece of a module: what ``name`` is there, or all of it (``*``)."""

    module: Module
    name: str
    nodes: Sequence[ast.AST] = field(compare=False)


def content(path: Path, name: str, *, opaque: Iterable[str] = ()) -> Content:
    """Of the definition called ``name`` in the file ``path``. Of what is called as one of ``opaque`` or ``MACHINERY``,
    or in it, the name alone counts. Raises ``ValueError`` if there is none, or a file that it leads to is no Python."""
    module = read(path)
    if name not in module.definitions:
        raise ValueError(f"{path}: defines no {name}")
    return _Reading(tuple(opaque)).of(_Part(module, name, module.definitions[name]))


def content_of_entry(path: Path, table: str, key: str, *, opaque: Iterable[str] = ()) -> Content:
    """As ``content``, of the entry ``key`` of the dictionary ``table``, which must be written out in the file."""
    written = entries(path, table)
    if key not in written:
        raise ValueError(f"{path}: {table} has no {key!r}; it has: {', '.join(written)}")
    return _Reading(tuple(opaque)).of(_Part(read(path), f"{table}[{key}]", [written[key]]))


def entries(path: Path, table: str) -> dict[str, ast.expr]:
    """The dictionary ``table`` of the file, as far as its keys are written out as strings. Raises ``ValueError`` if it
    is not written out at all."""
    for statement in read(path).definitions.get(table, ()):
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Dict):
            pairs = zip(value.keys, value.values, strict=True)
            return {str(key.value): entry for key, entry in pairs if isinstance(key, ast.Constant)}
    raise ValueError(f"{path}: {table} must be written out as a dictionary: it is read without running the file")


@cache
def package_digest(package: Path = PACKAGE) -> str:
    """Of all Python files of ``package`` and all other files of its plug-ins, by their names, as this process found
    them first. As for definitions, looks do not matter; imports do, wherever they stand. Hidden files and caches are
    left out. It takes half a second. Raises ``ValueError`` for a file that is no Python."""
    return digest(
        f"{name.as_posix()!a}: {_whole(package / name)}"
        for name in sorted(path.relative_to(package) for path in package.rglob("*") if path.is_file())
        if (name.suffix in PYTHON or name.parts[0] in PLUG_INS)
        and not any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    )


def _whole(path: Path) -> str:
    source = path.read_bytes()
    if path.suffix not in PYTHON:
        return hashlib.sha256(source).hexdigest()
    return "; ".join(text(statement, imports=True) for statement in parse(path, source))


def digest(parts: Iterable[str]) -> str:
    """The first 16 hex digits of the SHA-256 of ``parts``, one a line."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGITS]


class _Reading:
    """From one definition on to all that it leads to."""

    def __init__(self, opaque: tuple[str, ...]) -> None:
        self._opaque = (*MACHINERY, *opaque)
        self._numbers: dict[_Part, int] = {}
        self._lines: list[str] = []
        self._libraries: set[str] = set()

    def of(self, part: _Part) -> Content:
        self._visit(part)
        nodes = tuple(node for visited in self._numbers for node in visited.nodes)
        return Content(digest(self._lines), frozenset(self._libraries), nodes)

    def _visit(self, part: _Part) -> str:
        """Enter ``part``, unless it has been; returns its number."""
        if part not in self._numbers:
            number = self._numbers[part] = len(self._numbers)
            self._lines.append("")
            uses = sorted(f"{name} is {self._enter(target)}" for name, target in self._uses(part))
            texts = (_placed(node, part.module) for node in part.nodes)
            self._lines[number] = "\n".join([*texts, *dict.fromkeys(uses), *_files(part)])
        return f"definition {self._numbers[part]}"

    def _enter(self, target: _Part | str) -> str:
        return target if isinstance(target, str) else self._visit(target)

    def _uses(self, part: _Part) -> list[tuple[str, _Part | str]]:
        """What its names lead to, in the order of the names."""
        module, local = part.module, dict[str, list[str]]()
        pieces = [piece(node, module.package) for node in part.nodes]
        for name, target in (pair for one in pieces for pair in one.imports):
            local.setdefault(name, []).append(target)
        found: list[tuple[str, _Part | str]] = []
        used = {chain for one in pieces for chain in one.chains}
        unused = set(local) - {chain[0] for chain in used}  # imported for what the import does
        for chain in sorted(used | {(name,) for name in unused}):
            found += [(".".join(chain), target) for target in self._lead(module, chain, local)]
        found += [("", target) for target in self._effects(module, pieces)]
        return found

    def _effects(self, module: Module, pieces: Iterable[Piece]) -> Iterator[_Part]:
        """What ``module`` does at import beyond defining, and the files that are imported in ``pieces`` of it."""
        there = (file for one in pieces for dotted in one.modules for file in module.way(dotted))
        for one in dict.fromkeys([module, *there]):
            if one.effects and not self._is_opaque(one.name):
                yield _Part(one, "", one.effects)

    def _is_opaque(self, dotted: str) -> bool:
        return any(f"{dotted}.".startswith(f"{prefix}.") for prefix in self._opaque)

    def _lead(self, module: Module, chain: tuple[str, ...], local: dict[str, list[str]]) -> Iterator[_Part | str]:
        """What the names of ``chain``, read from the left, stand for in ``module``; nothing for builtins."""
        name, *attributes = chain
        if name in module.definitions:
            yield from self._definition(module, name)
        targets = [*local.get(name, ()), *module.imports.get(name, ())]
        if not targets and name not in module.definitions:
            targets = [f"{star}.{name}" for star in module.imports.get("*", ()) if module.own(star)]
        for target in dict.fromkeys(targets):
            yield from self._follow(module, ".".join([target, *attributes]), len(target.split(".")), frozenset())

    def _definition(self, module: Module, name: str) -> Iterator[_Part | str]:
        full = f"{module.name}.{name}"
        if self._is_opaque(full):
            yield full
        else:
            yield _Part(module, name, module.definitions[name])

    def _follow(self, module: Module, dotted: str, known: int, seen: frozenset[str]) -> Iterator[_Part | str]:
        """What the absolute name ``dotted`` stands for. Of a library's, the first ``known`` parts are the import."""
        own = module.own(dotted)
        if own is None or dotted in seen:
            self._libraries.add(dotted)
            yield ".".join(dotted.split(".")[:known])
            return
        there, rest = own
        if self._is_opaque(there.name):
            yield dotted
        elif not rest:
            yield _Part(there, "*", there.statements)
        elif rest[0] in there.definitions or rest[0] in there.imports:
            if rest[0] in there.definitions:
                yield from self._definition(there, rest[0])
            for target in there.imports.get(rest[0], ()):
                yield from self._follow(there, ".".join([target, *rest[1:]]), len(target.split(".")), seen | {dotted})
        else:
            for star in there.imports.get("*", ()):
                if there.own(star):
                    yield from self._follow(there, ".".join([star, *rest]), known, seen | {dotted})


def _placed(node: ast.AST, module: Module) -> str:
    """Its text; after effects that may have changed what it reads where it stands, with their number."""
    said = piece(node, module.package).text
    before = module.effects_before(node) if module.effects and reads(node) else 0
    return f"after {before}: {said}" if before else said


def _files(part: _Part) -> Iterator[str]:
    """Of files beside it that are no Python and whose names it holds as strings: what is in them."""
    folder = part.module.path.parent
    nodes = (node for top in part.nodes for node in ast.walk(top) if isinstance(node, ast.Constant))
    for name in sorted({node.value for node in nodes if isinstance(node.value, str)}):
        may_be = name.isprintable() and len(name) < LONGEST and name == Path(name).name and not name.endswith(PYTHON)
        if may_be and (path := folder / name).is_file():
            yield f"{name}: {hashlib.sha256(path.read_bytes()).hexdigest()}"
