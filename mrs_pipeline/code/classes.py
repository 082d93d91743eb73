"""A class taken apart into its members, so that one that nothing names counts for nothing.

Which members count is decided by `closure`; whether the class is of a kind whose members count one by one, by
`links`.
"""

import ast
from collections.abc import Iterable
from typing import Final

from mrs_pipeline.code.canonical import canonical, code_text_digest, field_marker, last_name
from mrs_pipeline.code.definitions import ClassShape, Definition, Member, Module, definition_of, lines_of
from mrs_pipeline.code.references import Reference, annotated, bound, chain_of
from mrs_pipeline.code.uses import uses

TYPE: Final = ":type"
"""Ending of the key of a field's annotation, which counts where a library executes it."""

_PLAIN: Final = frozenset(
    {
        "abstractmethod",
        "cached_property",
        "classmethod",
        "final",
        "overload",
        "override",
        "property",
        "staticmethod",
    }
    | {"deleter", "getter", "setter"}
    | {"asynccontextmanager", "cache", "contextmanager", "inference_mode", "lru_cache", "no_grad", "wraps"}
)
"""Decorators that leave it to callers to name the method; any other may hand it to a library."""
_READ_BY_LIBRARIES: Final = frozenset({"model_config", "model_post_init"})


def read_class(module: Module, node: ast.ClassDef) -> None:
    """Add a class and its members to the definitions of its module."""
    names = bound(node.body, module.package)[0]
    head: list[ast.AST] = [*node.decorator_list, *node.bases, *node.keywords]
    head += getattr(node, "type_params", [])
    members: list[Member] = []
    position = 0
    for statement in node.body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                members.append(_method(module, node, statement, names))
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                members.append(_constant(module, node, statement, name, names))
            case ast.AnnAssign(target=ast.Name()):
                member = _field(module, node, statement, position, names)
                position += member.position is not None
                members.append(member)
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case _:
                head.append(statement)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    module.define(node.name, _head(module, node, head, names))
    module.classes[node.name] = ClassShape(
        tuple(_reference(base) for base in node.bases),
        tuple(each for each in (_decorator(node) for node in node.decorator_list) if each),
        _reference(keywords["metaclass"]) if "metaclass" in keywords else None,
        _is_keyword_only(node),
        tuple(_merged(members)),
    )


def _head(module: Module, node: ast.ClassDef, parts: list[ast.AST], names: Iterable[str]) -> Definition:
    labels = (str(len(node.decorator_list)), str(len(node.bases)), str(len(node.keywords)))
    found = uses(parts, module.package, names)
    first, _ = lines_of([node, *node.decorator_list])
    _, last = lines_of([node])
    return Definition(code_text_digest(*labels, canonical(*parts)), found, (first, last))


def _method(
    module: Module, owner: ast.ClassDef, node: ast.FunctionDef | ast.AsyncFunctionDef, names: Iterable[str]
) -> Member:
    key = f"{owner.name}.{node.name}"
    module.define(key, definition_of([node], module.package, names))
    hooked = any(last_name(decorator) not in _PLAIN for decorator in node.decorator_list)
    return Member(node.name, key, "method", hook=hooked or _is_read_by_libraries(node.name))


def _constant(
    module: Module, owner: ast.ClassDef, node: ast.ClassDef | ast.Assign, name: str, names: Iterable[str]
) -> Member:
    key = f"{owner.name}.{name}"
    module.define(key, definition_of([node], module.package, names))
    return Member(name, key, "constant", hook=_is_read_by_libraries(name))


def _field(
    module: Module, owner: ast.ClassDef, node: ast.AnnAssign, position: int, names: Iterable[str]
) -> Member:
    name = getattr(node.target, "id", "")
    key = f"{owner.name}.{name}"
    marker = field_marker(node.annotation)
    value = [] if node.value is None else [node.value]
    plain = definition_of(value, module.package, names)
    module.define(key, Definition(code_text_digest(name, marker, plain.digest), plain.uses, lines_of([node])))
    types = definition_of([node.annotation], module.package, names)
    module.define(key + TYPE, Definition(types.digest, types.uses, (0, 0)))
    return Member(
        name,
        key,
        "constant" if marker == "ClassVar" else "field",
        hook=marker == "KW_ONLY" or _is_read_by_libraries(name),
        types=annotated(node.annotation),
        position=None if marker in ("ClassVar", "KW_ONLY") else position,
    )


def _merged(members: Iterable[Member]) -> Iterable[Member]:
    """Each name once: the parts of a property are one member."""
    found: dict[str, Member] = {}
    for member in members:
        before = found.get(member.name)
        if before is None:
            found[member.name] = member
        elif member.hook and not before.hook:
            found[member.name] = Member(
                before.name, before.key, before.kind, True, before.types, before.position
            )
    return found.values()


def _decorator(node: ast.expr) -> Reference | None:
    """The name behind `decorator` and `decorator(...)`."""
    return _reference(node.func if isinstance(node, ast.Call) else node)


def _reference(node: ast.expr) -> Reference | None:
    """The name behind `Base` and `Base[T]`; None for other expressions."""
    while isinstance(node, ast.Subscript):
        node = node.value
    chain = chain_of(node)
    return Reference(chain) if chain else None


def _is_keyword_only(node: ast.ClassDef) -> bool:
    return any(
        keyword.arg == "kw_only" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
    )


def _is_read_by_libraries(name: str) -> bool:
    return (name.startswith("__") and name.endswith("__")) or name in _READ_BY_LIBRARIES
