"""Names as they are written: references, what imports bind, and which names a scope binds itself.

What a name of the module stands for is found by `names`.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Import:
    """What an import statement binds: a module, or with `name` a name in it."""

    module: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A name as written, with the attributes that follow it.

    Attributes:
        chain: `("a", "b", "c")` for `a.b.c`.
        origin: what the first name was bound to by an import within the same function; None where the name is one
            of the module or a builtin.
    """

    chain: tuple[str, ...]
    origin: Import | None = None


def annotated(node: ast.expr | None) -> frozenset[Reference]:
    """The names in an annotation, in quotes or not; those in calls and literals name no type."""
    found: set[Reference] = set()
    stack: list[ast.AST] = [] if node is None else [node]
    while stack:
        each = stack.pop()
        chain = chain_of(each)
        if chain:
            found.add(Reference(chain))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            stack.extend(_parsed(each.value))
        elif isinstance(each, ast.Subscript) and (chain_of(each.value) or ("",))[-1] == "Literal":
            continue
        elif not isinstance(each, ast.Call):
            stack.extend(children(each))
    return frozenset(found)


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Import]]:
    """Name that is bound -> what it is bound to; `*` for a star import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, Import(alias.name)
            else:
                yield alias.name.partition(".")[0], Import(alias.name.partition(".")[0])
    else:
        module = absolute(node, package)
        for alias in node.names:
            yield alias.asname or alias.name, Import(module, alias.name)


def executed_imports(node: ast.Import | ast.ImportFrom, package: str) -> frozenset[Import]:
    """The modules that an import statement runs; a name in a module may be a module too."""
    if isinstance(node, ast.Import):
        return frozenset(Import(alias.name) for alias in node.names)
    return frozenset(Import(absolute(node, package), alias.name) for alias in node.names)


def absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that names are imported from, where `package` is the package of the importing module."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def bound(statements: Iterable[ast.AST], package: str) -> tuple[dict[str, tuple[Import, ...]], set[str]]:
    """Names that statements bind in their own scope, with what imports bind them to; and those declared elsewhere."""
    names: dict[str, tuple[Import, ...]] = {}
    elsewhere: set[str] = set()
    stack = list(statements)
    while stack:
        node = stack.pop()
        kind = type(node)
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                names.setdefault(node.id, ())
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name, origin in imported(node, package):
                names[name] = (*names.get(name, ()), origin)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif kind in _COMPREHENSIONS:  # only `:=` in them binds a name outside
            stack += [each.target for each in ast.walk(node) if isinstance(each, ast.NamedExpr)]
        else:
            if kind in _NAMED:
                names.update(dict.fromkeys(_names_bound(node), ()))
            if kind not in _OWN_SCOPE:
                stack += children(node)
    return {name: origins for name, origins in names.items() if name not in elsewhere}, elsewhere


_OWN_SCOPE: Final = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_COMPREHENSIONS: Final = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_NAMED: Final = frozenset(
    {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar}
    | {ast.MatchMapping}
)


def _names_bound(node: ast.AST) -> list[str]:
    name = getattr(node, "rest" if isinstance(node, ast.MatchMapping) else "name", None)
    return [] if name is None else [name]


def children(node: ast.AST) -> list[ast.AST]:
    """As `ast.iter_child_nodes`, in half the time."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST)]
    return found


def chain_of(node: ast.AST) -> tuple[str, ...]:
    """`("a", "b")` for `a.b`; empty where the expression does not start with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _parsed(text: str) -> list[ast.AST]:
    try:
        return [ast.parse(text.strip(), mode="eval").body]
    except SyntaxError:
        return []  # a text that is no annotation, in `Annotated` for example
