"""What importing a module does: which others it imports, and what in it changes something.

Most definitions only come into being. Top-level statements do more, and so does a definition that enters itself
somewhere: a decorator, a call or a base in it changes an object that outlives it. Such code counts for whatever
imports the module, named or not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.code.definitions import TOP_LEVEL
from mrs_pipeline.code.inheritance import Inheritance, Inherited
from mrs_pipeline.code.links import BOUNDARY, Links, split_key
from mrs_pipeline.code.names import Target
from mrs_pipeline.code.references import Reference
from mrs_pipeline.code.uses import READING

_SUBCLASS_HOOK: Final = "__init_subclass__"


@dataclass
class Importing:
    """What importing modules of some packages does, found out when it is first asked for."""

    links: Links
    inheritance: Inheritance
    _imports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _effects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _changing: dict[tuple[str, str], bool] = field(default_factory=dict)

    def imports(self, name: str) -> tuple[str, ...]:
        """The modules that are imported when a module is: its packages, and what it imports itself."""
        if name not in self._imports:
            module = self.links.names.module(name)
            parents = [name.rpartition(".")[0]] if "." in name else []
            found = () if module is None else self.links.imported(module.imports)
            self._imports[name] = tuple(dict.fromkeys((*parents, *found)))
        return self._imports[name]

    def effects(self, name: str) -> tuple[str, ...]:
        """Definitions of a module that change something when it is imported."""
        if name not in self._effects:
            module = self.links.names.module(name)
            keys = [] if module is None else [(each, f"{name}:{each}") for each in module.definitions]
            self._effects[name] = tuple(
                key for each, key in keys if each == TOP_LEVEL or self._enters_itself(key)
            )
        return self._effects[name]

    def _enters_itself(self, key: str) -> bool:
        module, _ = split_key(key)
        definition, inherited = self.links.definition(key), self.inheritance.of(key)
        if definition is None or self.links.link(key).boundary:
            return False
        if inherited is not None and self._is_announced(inherited):
            return True
        return any(
            self._changes(target)
            for called in definition.uses.calls
            for target in self.links.resolve(module, called)
        )

    def _is_announced(self, inherited: Inherited) -> bool:
        """Whether a base of ours, or its metaclass, is told of the class."""
        for above in filter(None, map(self.inheritance.of, inherited.bases)):
            metaclass = above.shape.metaclass
            found = [] if metaclass is None else self.links.resolve(split_key(above.key)[0], metaclass)
            if (
                any(member.name == _SUBCLASS_HOOK for member in above.shape.members)
                or any(target.kind == "definition" for target in found)
                or self._is_announced(above)
            ):
                return True
        return False

    def _changes(self, called: Target) -> bool:
        """Whether a call changes an object of ours that outlives it."""
        if called.kind != "definition" or called.name == BOUNDARY:
            return False
        method = called.rest[-1] if called.rest else ""
        question = (called.name, method)
        if question not in self._changing:
            is_class = self.inheritance.of(called.name) is not None
            self._changing[question] = (
                bool(method) and not is_class and method not in READING  # of a constant, or of a function
            ) or any(map(self._changes_constant, self._executed(called.name, method)))
        return self._changing[question]

    def _executed(self, key: str, method: str) -> Iterator[str]:
        """Definitions that a call may execute."""
        seen: set[str] = set()
        stack = [key]
        while stack:
            each = stack.pop()
            if each in seen or self.links.definition(each) is None or self.links.link(each).boundary:
                continue
            seen.add(each)
            yield each
            stack += self.links.link(each).targets
            inherited = self.inheritance.of(each)
            if inherited is not None:
                members = inherited.shape.members
                stack += [
                    inherited.key_of(m) for m in members if m.hook or (each == key and m.name == method)
                ]

    def _changes_constant(self, key: str) -> bool:
        module, _ = split_key(key)
        definition = self.links.definition(key)
        if definition is None or definition.constant:
            return False
        return bool(definition.uses.assigned) or any(
            self._is_constant(module, changed) and (callee is None or self._is_ours(module, callee))
            for callee, changed in definition.uses.changed
        )

    def _is_constant(self, module: str, reference: Reference) -> bool:
        found = [self.links.definition(each.name) for each in self._inside(module, reference)]
        return any(definition is not None and definition.constant for definition in found)

    def _is_ours(self, module: str, reference: Reference) -> bool:
        return bool(self._inside(module, reference))

    def _inside(self, module: str, reference: Reference) -> list[Target]:
        return [each for each in self.links.resolve(module, reference) if each.kind == "definition"]
