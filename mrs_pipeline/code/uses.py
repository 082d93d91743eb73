"""What a piece of code uses: the names it refers to, the words by which it may reach members, what it imports.

Looks at one definition at a time and knows no other; what a name stands for is found by `names`.
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mrs_pipeline.code.canonical import is_for_type_checkers
from mrs_pipeline.code.references import Import, Reference, bound, chain_of, children, executed_imports

ALL_FIELDS: Final = "<all fields>"
"""The word of code that reads every field of an object without naming it, by position for example."""

_LONGEST_WORD: Final = 200
READING: Final = frozenset(
    {
        "copy",
        "count",
        "decode",
        "encode",
        "endswith",
        "format",
        "get",
        "index",
        "items",
        "join",
        "keys",
        "replace",
    }
    | {"rsplit", "split", "startswith", "strip", "union", "values"}
)
"""Methods of the standard types that change nothing."""


@dataclass(frozen=True)
class Uses:
    """What a definition uses.

    Attributes:
        references: names of the module, builtins and imported names.
        words: attributes, keywords, and strings that are identifiers: names by which a member may be meant.
        strings: other strings without white space: they may be the name of a file.
        imports: what is imported when the code runs.
        calls: what is called when the definition itself is executed, that is, when its module is imported.
        changed: (function or None, name): names that are assigned to in part or handed to the function.
        assigned: names of the module that a function assigns (`global`).
    """

    references: frozenset[Reference] = frozenset()
    words: frozenset[str] = frozenset()
    strings: frozenset[str] = frozenset()
    imports: frozenset[Import] = frozenset()
    calls: frozenset[Reference] = frozenset()
    changed: frozenset[tuple[Reference | None, Reference]] = frozenset()
    assigned: frozenset[str] = frozenset()

    def __or__(self, other: "Uses") -> "Uses":
        return Uses(
            self.references | other.references,
            self.words | other.words,
            self.strings | other.strings,
            self.imports | other.imports,
            self.calls | other.calls,
            self.changed | other.changed,
            self.assigned | other.assigned,
        )


def uses(nodes: Iterable[ast.AST], package: str, class_names: Iterable[str] = ()) -> Uses:
    """What statements and expressions use.

    Args:
        nodes: code that stands in the body of a module, or of a class.
        package: the package that relative imports start from.
        class_names: names bound in the body of the class.
    """
    reader = _Reader(package)
    names: dict[str, tuple[Import, ...]] = dict.fromkeys(class_names, ())
    if names:
        reader.scopes.append(_Scope(names, _CLASS))
    for node in nodes:
        reader.visit(node)
    return reader.found()


_CLASS, _FUNCTION, _COMPREHENSION = "class", "function", "comprehension"


@dataclass(frozen=True)
class _Scope:
    """Names bound in a scope, with what imports there bind them to; methods do not see the scope of their class."""

    names: dict[str, tuple[Import, ...]]
    kind: str


@dataclass
class _Reader:
    """Walks code and collects what it uses."""

    package: str
    scopes: list[_Scope] = field(default_factory=list)
    references: set[Reference] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    imports: set[Import] = field(default_factory=set)
    calls: set[Reference] = field(default_factory=set)
    changed: set[tuple[Reference | None, Reference]] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)

    def found(self) -> Uses:
        return Uses(
            frozenset(self.references),
            frozenset(self.words),
            frozenset(self.strings),
            frozenset(self.imports),
            frozenset(self.calls),
            frozenset(self.changed),
            frozenset(self.assigned),
        )

    def visit(self, node: ast.AST) -> None:
        special = _SPECIAL.get(type(node))
        if special is not None:
            special(self, node)
        else:
            for child in children(node):
                self.visit(child)

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def name(self, node: ast.Name) -> None:
        binds_member = (
            bool(self.scopes) and self.scopes[-1].kind is _CLASS and not isinstance(node.ctx, ast.Load)
        )
        if not binds_member:
            self.references.update(self.meant((node.id,)))

    def attribute(self, node: ast.Attribute) -> None:
        self.words.add(node.attr)
        inner = node.value
        while isinstance(inner, ast.Attribute):
            self.words.add(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self.references.update(self.meant(chain_of(node)))
        else:
            self.visit(inner)
        if not isinstance(node.ctx, ast.Load):
            self.changed.update((None, each) for each in self.meant(chain_of(node.value)))

    def subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.changed.update((None, each) for each in self.meant(chain_of(node.value)))
        self.visit_all((node.value, node.slice))

    def call(self, node: ast.Call) -> None:
        chain = chain_of(node.func)
        callees = self.meant(chain)
        if self.at_import():
            self.calls.update(callees)
        if len(chain) > 1 and chain[-1] not in READING:
            self.changed.update((None, each) for each in callees)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            for each in self.meant(chain_of(argument)):
                self.changed.update((callee, each) for callee in callees)
        first = node.args[0] if node.args else None
        if chain[-1:] in (("import_module",), ("__import__",)) and isinstance(first, ast.Constant):
            module = str(first.value)
            self.references.add(Reference((module,), Import(module)))
            self.imports.add(Import(module))
        self.visit_all((node.func, *node.args, *node.keywords))

    def constant(self, node: ast.Constant) -> None:
        text = node.value
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_WORD:
            return
        parts = text.split(".")
        if all(part.isidentifier() for part in parts):
            self.words.update(parts)
        if not text.isidentifier() and not any(character.isspace() for character in text):
            self.strings.add(text)

    def keyword(self, node: ast.keyword) -> None:
        if node.arg is not None:
            self.words.add(node.arg)
        self.visit(node.value)

    def expression(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def condition(self, node: ast.If) -> None:
        if is_for_type_checkers(node.test):
            self.visit_all(node.orelse)
        else:
            self.visit_all((node.test, *node.body, *node.orelse))

    def pattern(self, node: ast.MatchClass) -> None:
        self.words.update(node.kwd_attrs)
        if node.patterns:
            self.words.add(ALL_FIELDS)
        self.visit_all((node.cls, *node.patterns, *node.kwd_patterns))

    def annotated_assignment(self, node: ast.AnnAssign) -> None:
        in_class = bool(self.scopes) and self.scopes[-1].kind is _CLASS
        self.visit_all((node.target, node.value, node.annotation if in_class else None))

    def import_(self, node: ast.Import | ast.ImportFrom) -> None:
        self.imports.update(executed_imports(node, self.package))

    def global_(self, node: ast.Global) -> None:
        self.assigned.update(node.names)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.decorators(node.decorator_list)
        self.inside(node.args, node.body)

    def lambda_(self, node: ast.Lambda) -> None:
        self.inside(node.args, [node.body])

    def inside(self, arguments: ast.arguments, body: Iterable[ast.AST]) -> None:
        self.visit_all((*arguments.defaults, *arguments.kw_defaults))
        body = list(body)
        names, elsewhere = bound(body, self.package)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
        names.update({each.arg: () for each in every if each.arg not in elsewhere})
        self.scopes.append(_Scope(names, _FUNCTION))
        self.visit_all(body)
        self.scopes.pop()

    def class_(self, node: ast.ClassDef) -> None:
        self.decorators(node.decorator_list)
        self.visit_all((*node.bases, *node.keywords))
        self.scopes.append(_Scope(bound(node.body, self.package)[0], _CLASS))
        self.visit_all(node.body)
        self.scopes.pop()

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        names = bound([each.target for each in node.generators], self.package)[0]
        self.scopes.append(_Scope(names, _COMPREHENSION))
        self.visit_all(children(node))
        self.scopes.pop()

    def decorators(self, nodes: Iterable[ast.expr]) -> None:
        for node in nodes:
            if self.at_import():
                self.calls.update(self.meant(chain_of(node)))
            self.visit(node)

    def at_import(self) -> bool:
        """Whether what is visited runs when the module is imported."""
        return all(scope.kind is not _FUNCTION for scope in self.scopes)

    def meant(self, chain: tuple[str, ...]) -> list[Reference]:
        """What a name may stand for beyond the scopes it is written in; nothing for a local variable."""
        if not chain:
            return []
        found: list[Reference] = []
        directly = True
        for scope in reversed(self.scopes):
            if chain[0] in scope.names and (directly or scope.kind is not _CLASS):
                found += [Reference(chain, origin) for origin in scope.names[chain[0]]]
                if scope.kind is not _CLASS:
                    return found
                self.words.add(chain[0])  # bound in the class, or not yet: then it is one of the module
            directly = directly and scope.kind is not _FUNCTION
        return [*found, Reference(chain)]


_SPECIAL: Final[dict[type, Callable[[_Reader, Any], None]]] = {
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.attribute,
    ast.Subscript: _Reader.subscript,
    ast.Call: _Reader.call,
    ast.Constant: _Reader.constant,
    ast.keyword: _Reader.keyword,
    ast.Expr: _Reader.expression,
    ast.If: _Reader.condition,
    ast.MatchClass: _Reader.pattern,
    ast.AnnAssign: _Reader.annotated_assignment,
    ast.Import: _Reader.import_,
    ast.ImportFrom: _Reader.import_,
    ast.Global: _Reader.global_,
    ast.FunctionDef: _Reader.function,
    ast.AsyncFunctionDef: _Reader.function,
    ast.Lambda: _Reader.lambda_,
    ast.ClassDef: _Reader.class_,
    ast.ListComp: _Reader.comprehension,
    ast.SetComp: _Reader.comprehension,
    ast.DictComp: _Reader.comprehension,
    ast.GeneratorExp: _Reader.comprehension,
}
