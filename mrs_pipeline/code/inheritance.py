"""What is known of a class only together with its bases: whether its members count one by one, where fields stand.

Members count one by one where nobody calls them but code that names them. A base from a library may be called by the
library under names that no code of ours mentions (`forward` of a torch module), so such a class counts as a whole.
"""

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.code.definitions import ClassShape, Member
from mrs_pipeline.code.links import Links, split_key
from mrs_pipeline.code.references import Reference

_HARMLESS_BASES: Final = frozenset(
    {"object", "abc.ABC", "typing.Protocol", "typing.Generic", "typing.TypedDict"}
    | {"pydantic.BaseModel", "pydantic.RootModel"}
)
"""Bases that call no method which a subclass adds under a name of its own."""
_HARMLESS_METACLASSES: Final = frozenset({"abc.ABCMeta", "type"})
_DATACLASSES: Final = frozenset({"dataclasses.dataclass", "pydantic.dataclasses.dataclass"})


@dataclass(frozen=True)
class Inherited:
    """A class and what it has from its bases.

    Attributes:
        key: its definition.
        bases: keys of its bases in the followed packages.
        whole: whether a library may call any member, so that all count.
        settings: whether it is a model of pydantic, whose fields count where they are read by name.
        executed_types: whether a library executes the annotations of its fields.
        positional: whether its constructor takes fields by position.
        offset: how many fields by position its bases have.
        shape: as it is written.
    """

    key: str
    bases: tuple[str, ...]
    whole: bool
    settings: bool
    executed_types: bool
    positional: bool
    offset: int
    shape: ClassShape

    def key_of(self, member: Member) -> str:
        """The definition of one of its members."""
        return f"{split_key(self.key)[0]}:{member.key}"


@dataclass
class Inheritance:
    """The classes of some packages, looked at when they are first asked for."""

    links: Links
    _found: dict[str, Inherited | None] = field(default_factory=dict)

    def of(self, key: str) -> Inherited | None:
        """What is known of a class; None where the key is that of another definition."""
        if key not in self._found:
            self._found[key] = None  # should a class be its own base, which is no Python
            self._found[key] = self._inherited(key)
        return self._found[key]

    def named(self, module: str, references: Iterable[Reference]) -> Iterator[str]:
        """Classes that annotations in a module name, through aliases."""
        seen: set[str] = set()
        stack = [(module, reference) for reference in references]
        while stack:
            place, reference = stack.pop()
            for target in self.links.resolve(place, reference, for_types=True):
                definition = self.links.definition(target.name) if target.kind == "definition" else None
                if definition is None or target.name in seen:
                    continue
                seen.add(target.name)
                if self.of(target.name) is not None:
                    yield target.name
                stack += [(split_key(target.name)[0], each) for each in definition.alias]

    def _inherited(self, key: str) -> Inherited | None:
        module, name = split_key(key)
        found = self.links.names.module(module)
        shape = None if found is None else found.classes.get(name)
        if shape is None:
            return None
        inside, outside = self._bases(module, shape)
        above = [each for each in map(self.of, inside) if each is not None]
        decorators = {target.name for each in shape.decorators for target in self.links.resolve(module, each)}
        positional = bool(decorators & _DATACLASSES) and not shape.keyword_only
        settings = any(_is_pydantic(name) for name in outside) or any(each.settings for each in above)
        return Inherited(
            key,
            tuple(each.key for each in above),
            whole=len(above) < len(inside)
            or not all(map(_is_harmless, outside))
            or self._has_metaclass(module, shape)
            or any(each.whole for each in above),
            settings=settings,
            executed_types=settings or any(map(_is_pydantic, decorators)),
            positional=positional,
            offset=sum(each.offset + _positions(each.shape) for each in above) if positional else 0,
            shape=shape,
        )

    def _bases(self, module: str, shape: ClassShape) -> tuple[list[str], list[str]]:
        """Keys of followed bases, names of the others; of a base that is an expression nothing is known."""
        inside: list[str] = []
        outside = ["" for base in shape.bases if base is None]
        for base in shape.bases:
            for target in [] if base is None else self.links.resolve(module, base):
                (inside if target.kind == "definition" else outside).append(target.name)
        return inside, outside

    def _has_metaclass(self, module: str, shape: ClassShape) -> bool:
        if shape.metaclass is None:
            return False
        found = self.links.resolve(module, shape.metaclass)
        return any(target.name not in _HARMLESS_METACLASSES for target in found)


def _positions(shape: ClassShape) -> int:
    return sum(member.position is not None for member in shape.members)


def _is_pydantic(name: str) -> bool:
    return name.startswith("pydantic.")


def _is_harmless(base: str) -> bool:
    found = getattr(builtins, base, None)
    return base in _HARMLESS_BASES or (isinstance(found, type) and issubclass(found, BaseException))
