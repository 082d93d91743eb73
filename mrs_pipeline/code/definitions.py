"""The parts that a source file is taken apart into, as data.

A definition is a function, a constant, a class without its members, a member of a class, or `TOP_LEVEL`: everything
else that is executed when the module is imported.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.code.canonical import canonical, code_text_digest
from mrs_pipeline.code.references import Import, Reference, annotated
from mrs_pipeline.code.uses import Uses, uses

TOP_LEVEL: Final = "<top level>"
"""Name of the statements of a module that define nothing, as one definition."""


@dataclass(frozen=True)
class Definition:
    """A piece of code that counts as a whole.

    Attributes:
        digest: digest of its canonical text.
        uses: what it uses.
        lines: first and last line, decorators included.
        parameters: names in the annotations of a function's parameters.
        alias: names of the types that a constant stands for, where it may be used as an annotation.
        made_by: what a constant's value is the result of, if it is a call: `f` and `g` of `f(g(...))`.
        constant: whether it is a constant of the module.
    """

    digest: str
    uses: Uses
    lines: tuple[int, int]
    parameters: frozenset[Reference] = frozenset()
    alias: frozenset[Reference] = frozenset()
    made_by: tuple[Reference, ...] = ()
    constant: bool = False

    def __or__(self, other: "Definition") -> "Definition":
        """Both together: definitions of one name, of which the last or the one that a condition chooses is used."""
        return Definition(
            code_text_digest(self.digest, other.digest),
            self.uses | other.uses,
            (min(self.lines[0], other.lines[0]), max(self.lines[1], other.lines[1])),
            self.parameters | other.parameters,
            self.alias | other.alias,
            (),
            self.constant or other.constant,
        )


@dataclass(frozen=True)
class Member:
    """A method, field or constant of a class.

    Attributes:
        name: the attribute.
        key: its definition in the module, `Class.name`.
        kind: "method", "field" (annotated) or "constant".
        hook: whether it counts without being named: a library or the interpreter calls it.
        types: names in a field's annotation.
        position: number of the field among those that a constructor takes by position; None for other members.
    """

    name: str
    key: str
    kind: str
    hook: bool = False
    types: frozenset[Reference] = frozenset()
    position: int | None = None


@dataclass(frozen=True)
class ClassShape:
    """A class taken apart.

    Attributes:
        bases: its bases as written; None for one that is no name.
        decorators: its decorators.
        metaclass: as written, or None.
        keyword_only: whether a dataclass takes its fields by keyword alone.
        members: in their order.
    """

    bases: tuple[Reference | None, ...]
    decorators: tuple[Reference, ...]
    metaclass: Reference | None
    keyword_only: bool
    members: tuple[Member, ...]


@dataclass
class Module:
    """A module or package as its file says.

    Attributes:
        name: dotted.
        package: the package that relative imports start from.
        definitions: name below the module -> definition; `Class` is a class without its members.
        classes: name -> class.
        bindings: name -> definitions of this module or imports that it may be bound to.
        for_types: name -> imports that only type checkers see.
        stars: modules of star imports.
        imports: what importing the module imports.
    """

    name: str
    package: str
    definitions: dict[str, Definition] = field(default_factory=dict)
    classes: dict[str, ClassShape] = field(default_factory=dict)
    bindings: dict[str, tuple[str | Import, ...]] = field(default_factory=dict)
    for_types: dict[str, tuple[Import, ...]] = field(default_factory=dict)
    stars: tuple[str, ...] = ()
    imports: frozenset[Import] = frozenset()

    def define(self, name: str, definition: Definition) -> None:
        """Add a definition; one of the same name before it goes on to count."""
        if name in self.definitions:
            definition = self.definitions[name] | definition
        self.definitions[name] = definition

    def bind(self, name: str, *to: str | Import) -> None:
        """Add what a name may be bound to."""
        self.bindings[name] = tuple(dict.fromkeys((*self.bindings.get(name, ()), *to)))

    def at(self, line: int) -> str | None:
        """The innermost definition that covers a line of the file; None where the line defines nothing."""
        covering = [
            (definition.lines[1] - definition.lines[0], name)
            for name, definition in self.definitions.items()
            if name != TOP_LEVEL and definition.lines[0] <= line <= definition.lines[1]
        ]
        return min(covering)[1] if covering else None


def definition_of(nodes: Sequence[ast.AST], package: str, class_names: Iterable[str] = ()) -> Definition:
    """The definition that consists of these statements and expressions."""
    return Definition(
        code_text_digest(canonical(*nodes)),
        uses(nodes, package, class_names),
        lines_of(nodes),
        parameters=frozenset().union(*(_parameters(node) for node in nodes)),
    )


def lines_of(nodes: Iterable[ast.AST]) -> tuple[int, int]:
    """First and last line of some nodes, decorators included; (0, 0) for none."""
    every = [each for node in nodes for each in (node, *getattr(node, "decorator_list", ()))]
    starts = [getattr(each, "lineno", 0) for each in every]
    ends = [getattr(each, "end_lineno", 0) or 0 for each in every]
    return min(starts, default=0), max(ends, default=0)


def _parameters(node: ast.AST) -> frozenset[Reference]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return frozenset()
    found = [annotated(each.annotation) for each in ast.walk(node.args) if isinstance(each, ast.arg)]
    return frozenset().union(*found)
