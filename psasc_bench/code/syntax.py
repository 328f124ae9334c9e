"""Syntax as text, which is the same for code that does the same and looks different, and on every Python.

``ast.dump`` is not: what it leaves out, and how an f-string is parsed, differs from one Python to the next.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import groupby

# Whether a name is read or written is said by where it stands; `kind` is the u of a u"string".
UNSAID = ("ctx", "kind", "type_comment", "type_ignores")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef)


def text(node: ast.AST, *, imports: bool = False) -> str:
    """``node`` without comments, docstrings, formatting and what a raised exception says; and without the imports in
    it, unless ``imports``, where nobody asks what they give. Annotations stay: they make a dataclass."""
    node = _speechless(node)
    if isinstance(node, ast.Constant):
        return ascii(node.value)
    if isinstance(node, ast.JoinedStr):
        return _f_string(node, imports)
    fields = ((name, _value(value, imports)) for name, value in ast.iter_fields(node) if name not in UNSAID)
    return f"{type(node).__name__}({', '.join(f'{name}={value}' for name, value in fields if value)})"


def _speechless(node: ast.AST) -> ast.AST:
    """A ``raise`` without its words: no result depends on them."""
    if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
        return node
    call = node.exc
    rest = [value for value in call.args if not isinstance(getattr(value, "value", value), str | ast.JoinedStr)]
    return ast.Raise(exc=ast.Call(func=call.func, args=rest, keywords=call.keywords), cause=node.cause)


def _value(value: object, imports: bool) -> str:
    """Of a field; empty for what is not there."""
    if isinstance(value, list):
        said = (part for part in value if not _says_nothing(part, imports))
        parts = [_value(part, imports) or "absent" for part in said]  # as one default of several
        return f"[{', '.join(parts)}]" if parts else ""
    if isinstance(value, ast.AST):
        return "" if isinstance(value, ast.JoinedStr) and not value.values else text(value, imports=imports)
    return "" if value is None else ascii(value)


def _says_nothing(part: object, imports: bool) -> bool:
    """Docstrings, other constants that stand alone, ``pass``; and imports, where they are known by what they give."""
    alone = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    return alone or isinstance(part, ast.Pass) or (isinstance(part, ast.Import | ast.ImportFrom) and not imports)


def _f_string(node: ast.JoinedStr, imports: bool) -> str:
    """Pythons part the constant pieces between two values differently."""
    pieces = []
    for constant, values in groupby(node.values, key=lambda value: isinstance(value, ast.Constant)):
        if constant:
            joined = "".join(str(value.value) for value in values if isinstance(value, ast.Constant))
            pieces += [ascii(joined)] if joined else []
        else:
            pieces += [text(value, imports=imports) for value in values]
    return f"JoinedStr([{', '.join(pieces)}])"


def chains(node: ast.AST) -> set[tuple[str, ...]]:
    """The names, with the attributes behind them, that ``node`` takes from outside: ``nn.Linear`` as
    ``("nn", "Linear")``. What a function binds is its own."""
    found: set[tuple[str, ...]] = set()
    _collect(node, frozenset(), found)
    return found


def _collect(node: ast.AST, bound: frozenset[str], found: set[tuple[str, ...]]) -> None:
    """``bound`` is what the functions around ``node`` bind."""
    node = _speechless(node)
    if isinstance(node, ast.Name | ast.Attribute):
        names = list(dotted(node))
        if isinstance(names[0], ast.AST):
            _collect(names[0], bound, found)
        elif names[0] not in bound and not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
            found.add(tuple(str(name) for name in names))
        return
    inner, inside = bound, ast.iter_child_nodes(node)
    if isinstance(node, FUNCTIONS):
        for part in outside(node):
            _collect(part, bound, found)
        inner = bound | _bound_by(node)
        inside = iter([node.body] if isinstance(node, ast.Lambda) else node.body)
    elif isinstance(node, COMPREHENSIONS):
        _collect(node.generators[0].iter, bound, found)
        inner = bound | set(_stored(part.target for part in node.generators))
    for part in inside:
        _collect(part, inner, found)


def dotted(node: ast.expr) -> Iterator[str | ast.expr]:
    """``a.b.c`` from the left; the first is no name where attributes are of something else, as of a call."""
    if isinstance(node, ast.Attribute):
        yield from dotted(node.value)
        yield node.attr
    else:
        yield node.id if isinstance(node, ast.Name) else node


def outside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """What of a function is evaluated around it."""
    yield from (default for default in [*node.args.defaults, *node.args.kw_defaults] if default)
    yield from (argument.annotation for argument in _arguments(node.args) if argument.annotation)
    if not isinstance(node, ast.Lambda):
        yield from node.decorator_list
        yield from getattr(node, "type_params", ())
        if node.returns:
            yield node.returns


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [argument for argument in (arguments.vararg, arguments.kwarg) if argument]


def _bound_by(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    names = {argument.arg for argument in _arguments(node.args)}
    if isinstance(node, ast.Lambda):
        return names
    elsewhere = {name for part in _statements(node) if isinstance(part, ast.Global) for name in part.names}
    return (names | set(_stored(node.body))) - elsewhere


def _stored(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that these bind in the scope that they stand in. Imports bind, too, but lead elsewhere."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
        if not isinstance(node, SCOPES):
            yield from _stored(ast.iter_child_nodes(node))


def bound_at_top(statement: ast.stmt) -> set[str]:
    """The names that a statement of a module gives a value to, or changes, as ``TABLE["key"] = value`` does."""
    changed = (
        name
        for part in _of_this_scope(statement)
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store | ast.Del)
        for name in _root(part)
    )
    return {*_stored([statement]), *changed}


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _of_this_scope(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _of_this_scope(child)


def imports(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """What ``node`` imports, functions in it included: local names, with what each stands for, as ``a.module.name``;
    ``*`` for all of a module. ``package`` is what relative imports start from."""
    for part in _statements(node):
        if isinstance(part, ast.Import | ast.ImportFrom):
            for alias, (name, target) in zip(part.names, imported(part, package), strict=True):
                bare = isinstance(part, ast.Import) and not alias.asname
                yield name, name if bare else target


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """As ``imports``, but with all of ``a.b`` for ``import a.b``, which binds ``a``."""
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.asname or alias.name.partition(".")[0], alias.name
        else:
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield alias.asname or alias.name, source if alias.name == "*" else f"{source}.{alias.name}"


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and the statements in it, to any depth."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        if isinstance(inside := getattr(node, block, None), list):
            for part in inside:
                yield from _statements(part)
