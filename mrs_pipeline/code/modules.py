"""A source file taken apart: what it defines, what its names are bound to, what it runs when it is imported.

How a class is taken apart is `classes`; what a name of another module stands for, `names`.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import decode_source
from pathlib import Path

from mrs_pipeline.code.canonical import canonical, code_text_digest, executed, is_for_type_checkers
from mrs_pipeline.code.classes import read_class
from mrs_pipeline.code.definitions import TOP_LEVEL, Definition, Module, definition_of, lines_of
from mrs_pipeline.code.references import Reference, annotated, bound, chain_of, executed_imports, imported
from mrs_pipeline.code.uses import uses
from mrs_pipeline.errors import InputError


def parse(path: Path, data: bytes) -> ast.Module:
    """The syntax tree of the content of a Python file; InputError names the line where it is no Python."""
    try:
        return ast.parse(decode_source(data))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        raise InputError(
            f"{place} is not Python source that this version can read ({error}): mend it"
        ) from error


def read(module: Module, tree: ast.Module) -> Module:
    """Fill a module from its syntax tree."""
    rest: list[ast.stmt] = []
    _read_type_imports(module, tree.body)
    for statement in executed(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _read_import(module, statement)
        elif _is_script(statement):
            continue
        elif not _read_definition(module, statement):
            rest.append(statement)
            _read_other(module, statement)
    if rest:
        module.define(TOP_LEVEL, definition_of(rest, module.package))
    for name, definition in module.definitions.items():
        for assigned in definition.uses.assigned:
            module.bind(assigned, name)
    return module


def _read_type_imports(module: Module, body: Iterable[ast.stmt]) -> None:
    for statement in body:
        if isinstance(statement, ast.If) and is_for_type_checkers(statement.test):
            found = bound(statement.body, module.package)[0]
            for name, origins in found.items():
                module.for_types[name] = (*module.for_types.get(name, ()), *origins)


def _read_import(module: Module, statement: ast.Import | ast.ImportFrom) -> None:
    module.imports |= executed_imports(statement, module.package)
    for name, origin in imported(statement, module.package):
        if name == "*":
            module.stars = (*module.stars, origin.module)
        else:
            module.bind(name, origin)


def _read_definition(module: Module, statement: ast.stmt) -> bool:
    """Add what the statement defines; False where it is no definition."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            module.define(name, definition_of([statement], module.package))
        case ast.ClassDef(name=name) if name not in module.definitions:
            read_class(module, statement)
        case ast.Assign(targets=targets, value=value):
            return _read_assignment(module, statement, targets, value)
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return _read_assignment(module, statement, [statement.target], value)
        case ast.AugAssign(target=ast.Name(id=name)):
            module.define(name, definition_of([statement], module.package))
        case _ if type(statement).__name__ == "TypeAlias":  # since Python 3.12
            name = statement.name.id  # type: ignore[attr-defined]
            types = annotated(statement.value)  # type: ignore[attr-defined]
            plain = definition_of([statement], module.package)
            module.define(name, Definition(plain.digest, plain.uses, plain.lines, alias=types, constant=True))
        case _:
            return False
    module.bind(name, name)
    return True


def _read_assignment(
    module: Module, statement: ast.stmt, targets: Sequence[ast.expr], value: ast.expr
) -> bool:
    pairs = [pair for target in targets for pair in _pairs(target, value)]
    names = [target.id for target, _ in pairs if isinstance(target, ast.Name)]
    if len(names) < len(pairs) or "_" in names or any(name in module.classes for name in names):
        return False
    for target, part in pairs:
        name = getattr(target, "id", "")
        module.define(name, _constant(statement, target, part, module.package))
        module.bind(name, name)
    return True


def _constant(statement: ast.stmt, target: ast.expr, value: ast.expr, package: str) -> Definition:
    text = canonical(ast.Assign(targets=[target], value=value))
    is_type = isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    return Definition(
        code_text_digest(text),
        uses([value], package),
        lines_of([statement]),
        alias=annotated(value) if is_type else frozenset(),
        made_by=tuple(_callees(value)),
        constant=True,
    )


def _callees(value: ast.expr) -> Iterator[Reference]:
    """`f` and `g` of `f(g(...))`."""
    while isinstance(value, ast.Call) and chain_of(value.func):
        yield Reference(chain_of(value.func))
        if not value.args:
            return
        value = value.args[0]


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """`a, b = x, y` as two assignments; other patterns with the whole value for each name."""
    if not isinstance(target, ast.Tuple | ast.List):
        return [(target, value)]
    parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    starred = any(isinstance(each, ast.Starred) for each in (*target.elts, *parts))
    if len(parts) == len(target.elts) and not starred:
        return [pair for each, part in zip(target.elts, parts, strict=True) for pair in _pairs(each, part)]
    plain = [each.value if isinstance(each, ast.Starred) else each for each in target.elts]
    if all(isinstance(each, ast.Name) for each in plain):
        whole = ast.Tuple([target, value])  # which part a name gets is in the pattern
        return [(each, whole) for each in plain]
    return [(target, value)]


def _read_other(module: Module, statement: ast.stmt) -> None:
    """Names that a statement binds beside what it does."""
    for name, origins in bound([statement], module.package)[0].items():
        module.bind(name, TOP_LEVEL, *origins)


def _is_script(statement: ast.stmt) -> bool:
    """Whether a statement is `if __name__ == "__main__"`, which an import does not execute."""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
        and not statement.orelse
    )
