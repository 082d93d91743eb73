"""Source code as one canonical text, in which only what is executed counts, whatever Python version has parsed it.

Left out: comments and layout (no syntax tree has them), docstrings, other constants that stand alone, `pass`,
annotations, blocks for type checkers, and the wording of messages that are raised. Empty fields are left out too: which
of them a tree has differs between versions. Names of local variables and the order of keyword arguments stay.
"""

import ast
import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

DIGITS: Final = 16
"""Hexadecimal digits of a digest: 64 bits, so that two of a million definitions agree once in 10^7 packages."""

_LEFT_OUT: Final = frozenset(
    {"annotation", "ctx", "kind", "returns", "simple", "type_comment", "type_ignores"}
)
_STATEMENTS: Final = frozenset({"body", "orelse", "finalbody"})
_NO_ANNOTATION: Final = frozenset({"ClassVar", "InitVar", "KW_ONLY"})


def code_text_digest(*parts: str) -> str:
    """Digest of a sequence of texts; where one ends and the next begins counts."""
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(b"%d:" % len(encoded) + encoded)
    return state.hexdigest()[:DIGITS]


def canonical(*nodes: ast.AST) -> str:
    """The canonical text of statements and expressions."""
    out: list[str] = []
    for node in nodes:
        _write(node, out)
        out.append(";")
    return "".join(out)


def executed(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that do something: no docstring, `pass`, bare annotation or block for type checkers."""
    for statement in statements:
        if isinstance(statement, ast.If) and is_for_type_checkers(statement.test):
            yield from executed(statement.orelse)
        elif not _is_idle(statement):
            yield statement


def is_for_type_checkers(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING`, which is false whenever the code runs."""
    return last_name(test) == "TYPE_CHECKING"


def last_name(node: ast.AST | None) -> str:
    """`c` of `a.b.c`, `c[...]` and `c(...)`; empty where an expression has no name."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def field_marker(annotation: ast.expr) -> str:
    """`ClassVar`, `InitVar` or `KW_ONLY`, which decide what a field of a class is; else empty."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        name = annotation.value.partition("[")[0].rpartition(".")[2].strip()
    else:
        name = last_name(annotation)
    return name if name in _NO_ANNOTATION else ""


def _is_idle(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


_fields_of: Final[dict[type, tuple[str, ...]]] = {}


def _fields(node: ast.AST) -> tuple[str, ...]:
    """Names of the fields that count, in an order that is no version's."""
    kind = type(node)
    if kind not in _fields_of:
        _fields_of[kind] = tuple(sorted(set(node._fields) - _LEFT_OUT))
    return _fields_of[kind]


def _write(value: Any, out: list[str]) -> None:
    special = _SPECIAL.get(type(value))
    if special is not None:
        special(value, out)
    elif isinstance(value, ast.AST):
        _write_node(value, out)
    else:
        out.append(ascii(value))


def _write_node(node: ast.AST, out: list[str], **replaced: Any) -> None:
    out.append(type(node).__name__)
    out.append("(")
    for name in _fields(node):
        value = replaced[name] if name in replaced else getattr(node, name, None)
        if name in _STATEMENTS and isinstance(value, list) and name not in replaced:
            value = list(executed(value))
        if value or value is False:  # `case False`, unlike `case None`, is no absence
            out.append(name)
            out.append("=")
            _write(value, out)
    out.append(")")


def _write_list(values: list[Any], out: list[str]) -> None:
    out.append("[")
    for value in values:
        _write(value, out)
        out.append(",")
    out.append("]")


def _write_constant(node: ast.Constant, out: list[str]) -> None:
    value = node.value
    text = hex(value) if type(value) is int else ascii(value)
    out.append(f"{type(value).__name__} {text}")


def _write_f_string(node: ast.JoinedStr, out: list[str]) -> None:
    """Neighbouring pieces of text are one: how many there are differs between versions."""
    parts: list[ast.expr] = []
    for value in getattr(node, "values", ()):
        last = parts[-1] if parts else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            parts[-1] = ast.Constant(str(last.value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            parts.append(value)
    _write_node(node, out, values=parts)


class _WithoutTexts(ast.NodeTransformer):
    """Leaves out pieces of text, and keeps what is computed between them."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        return ast.JoinedStr([value for value in node.values if not isinstance(value, ast.Constant)])


def _write_raise(node: ast.Raise, out: list[str]) -> None:
    """What a message says decides no result: its wording may be improved without making anything due."""
    plain = _WithoutTexts().visit(copy.deepcopy(node))
    _write_node(plain, out)


def _write_formatted(node: ast.FormattedValue, out: list[str]) -> None:
    """An empty format says nothing, and not every version keeps it."""
    spec = getattr(node, "format_spec", None)
    empty = isinstance(spec, ast.JoinedStr) and not getattr(spec, "values", ())
    _write_node(node, out, format_spec=None if empty else spec)


def _write_annotated(node: ast.AnnAssign, out: list[str]) -> None:
    """As the assignment that it is; one without a value is not `executed`."""
    assert node.value is not None
    _write_node(ast.Assign(targets=[node.target], value=node.value), out)


def _write_class(node: ast.ClassDef, out: list[str]) -> None:
    """A class inside a definition: its fields keep their annotations, which libraries may read."""
    body = [each for each in node.body if isinstance(each, ast.AnnAssign) or not _is_idle(each)]
    out.append("ClassDef(")
    _write_node(node, out, body=[each for each in body if not isinstance(each, ast.AnnAssign)])
    for field in body:
        if isinstance(field, ast.AnnAssign):
            _write([field.target, field.annotation, field.value], out)
    out.append(")")


_SPECIAL: Final[dict[type, Callable[[Any, list[str]], None]]] = {
    list: _write_list,
    ast.Constant: _write_constant,
    ast.JoinedStr: _write_f_string,
    ast.Raise: _write_raise,
    ast.FormattedValue: _write_formatted,
    ast.AnnAssign: _write_annotated,
    ast.ClassDef: _write_class,
}
