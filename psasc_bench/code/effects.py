"""What a statement does at import beyond giving names a value: what is not known to do nothing counts as doing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from psasc_bench.code.syntax import dotted, outside

ACTING = (
    *(ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match),
    *(ast.AugAssign, ast.Delete, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom),
)
ACCESSORS = ("setter", "getter", "deleter")
HOOKS = ("__init_subclass__", "__set_name__")
# To be called, or to decorate with: they change nothing, and call nothing that they are given.
BUILTINS = {
    *("bool", "bytes", "complex", "dict", "dict.fromkeys", "float", "frozenset", "int", "len", "list", "range", "set"),
    *("str", "tuple", "zip", "enumerate", "slice", "object", "property", "staticmethod", "classmethod"),
}
LIBRARIES = {
    *(f"abc.abstract{what}" for what in ("method", "property")),
    *(f"contextlib.{name}" for name in ("contextmanager", "asynccontextmanager")),
    *(f"dataclasses.{name}" for name in ("dataclass", "field")),
    *(f"functools.{name}" for name in ("cache", "cached_property", "lru_cache", "total_ordering", "wraps")),
    *(f"typing.{name}" for name in ("NewType", "ParamSpec", "TypeVar", "cast", "final", "overload", "override")),
    *(f"collections.{name}" for name in ("namedtuple", "OrderedDict", "deque")),
    *("fractions.Fraction", "lazy_loader.attach_stub", "pathlib.Path", "re.compile", "torch.no_grad"),
}
HARMLESS_MODULES = ("math",)


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """What of a statement is run where it stands: all but the bodies of functions."""
    yield node
    inside = outside(node) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else None
    for child in ast.iter_child_nodes(node) if inside is None else inside:
        yield from evaluated(child)


def reads(node: ast.AST) -> bool:
    """Whether it depends on what names stand for where it stands."""
    return any(isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) for part in evaluated(node))


def hooked(statement: ast.stmt) -> bool:
    """Whether it defines what is called when a class is: a hook of classes, or a class of an own kind of classes."""
    return any(
        bool(part.keywords) if isinstance(part, ast.ClassDef) else getattr(part, "name", "") in HOOKS
        for part in evaluated(statement)
    )


def acts(node: ast.AST, names: Names) -> bool:
    """Whether ``node`` itself, its parts aside, may have an effect. Operators, subscripts and attributes that are read
    have none: so much is asked of those who write them anew."""
    if isinstance(node, ast.Subscript | ast.Attribute):
        return not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Call):
        return not names.harmless(node.func)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        decorated = not all(_accessor(one) or names.harmless(_called(one)) for one in node.decorator_list)
        return decorated or (isinstance(node, ast.ClassDef) and (bool(node.keywords) or names.hooked))
    return isinstance(node, ACTING)


def _called(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _accessor(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Attribute) and decorator.attr in ACCESSORS


class Names:
    """What the names of a module stand for: what it imports and defines, and whether classes are told of (``hooked``)
    in it or in what it imports."""

    def __init__(self, imports: dict[str, list[str]], defined: dict[str, list[ast.stmt]], *, hooked: bool) -> None:
        self._imports, self._defined, self.hooked = imports, defined, hooked

    def harmless(self, function: ast.expr) -> bool:
        """Whether to call ``function`` gives a value and does nothing else, as far as that is known."""
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant):
            return True  # as ", ".join
        first, *rest = dotted(function)
        if not isinstance(first, str):
            return False
        if first in self._defined:
            return not rest and first not in self._imports and all(map(self._plain, self._defined[first]))
        if found := self._imports.get(first):
            full = [".".join([target, *map(str, rest)]) for target in found]
            return all(one in LIBRARIES or one.partition(".")[0] in HARMLESS_MODULES for one in full)
        return "*" not in self._imports and ".".join([first, *map(str, rest)]) in BUILTINS

    def _plain(self, statement: ast.stmt) -> bool:
        """Whether it is a class that only holds what it is given: a dataclass of nothing but fields and methods."""
        return (
            isinstance(statement, ast.ClassDef)
            and not (statement.bases or self.hooked)
            and not any(acts(part, self) or isinstance(part, ast.Call) for part in self._body(statement))
            and not any(getattr(part, "name", "").startswith("__") for part in statement.body)
        )

    @staticmethod
    def _body(statement: ast.ClassDef) -> Iterator[ast.AST]:
        return (node for part in statement.body for node in evaluated(part))
