"""Small changes of real source files: of what is executed, and of what is not."""

import ast
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mrs_pipeline.code.definitions import Module

Site = tuple[ast.expr, str]
"""A piece of source and what to write in its place."""

_OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.Div: "*", ast.FloorDiv: "*"}
_COMPARISONS = {ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.GtE: "<", ast.Gt: "<=", ast.LtE: ">"}


def _executed(node: ast.AST) -> Iterator[ast.expr]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_doc = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            is_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            if isinstance(child, ast.AST) and not is_doc and not is_types:
                if isinstance(child, ast.expr):
                    yield child
                yield from _executed(child)


def _changed(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=bool(value)):
            return str(not value)
        case ast.Constant(value=int(value)):
            return str(value + 1)
        case ast.Constant(value=float(value)):
            return repr(value + 0.5)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return f"(({ast.unparse(left)}) {_OPERATORS[type(op)]} ({ast.unparse(right)}))"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            return f"(({ast.unparse(left)}) {_COMPARISONS[type(op)]} ({ast.unparse(right)}))"
    return None


def mutate(path: Path, module: Module, wanted: Callable[[str], bool], chance: random.Random) -> set[str]:
    """Change one thing in each definition of a file that is wanted; names of those in which there was something.

    Definitions that share their lines with others are left out: which of them a line belongs to is not known.
    """
    source = path.read_bytes()
    spans = Counter(each.lines for each in module.definitions.values())
    choices: dict[str, list[Site]] = defaultdict(list)
    for node in _executed(ast.parse(source)):
        text, name = _changed(node), module.at(node.lineno)
        if text is not None and name is not None and spans[module.definitions[name].lines] == 1:
            choices[name].append((node, text))
    edits = {name: chance.choice(found) for name, found in choices.items() if wanted(name)}
    path.write_bytes(replaced(source, edits.values()))
    return set(edits)


def replaced(source: bytes, edits: Iterable[Site]) -> bytes:
    """Source with pieces replaced that do not overlap."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, text in sorted(edits, key=lambda site: (site[0].lineno, site[0].col_offset), reverse=True):
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        source = source[:first] + text.encode() + source[last:]
    return source


def reword(path: Path) -> None:
    """Change every docstring and comment of a file, drop every annotation of functions, and lay it out otherwise."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        _drop_annotations(node)
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                statement.value = ast.Constant("Other words.")
    text = ast.unparse(tree)
    path.write_text("# words\n\n\n" + text.replace("\n    ", "\n\n    # words\n    ", 3) + "\n")


def _drop_annotations(node: ast.AST) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        node.returns = None
        for each in ast.walk(node.args):
            if isinstance(each, ast.arg):
                each.annotation = None
