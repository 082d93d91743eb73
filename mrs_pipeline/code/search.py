"""From roots to everything that they can reach: a search for a fixed point.

Functions and constants are reached by name. A class that code names, since it may be made there, counts with its
bases, what the interpreter or a library calls in it, and those members whose name occurs anywhere in the closure. Of
a class that only the annotation of a root's parameter or of a field names, since its objects come from outside,
members whose name occurs count, but not what makes the objects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mrs_pipeline.code.canonical import code_text_digest
from mrs_pipeline.code.classes import TYPE
from mrs_pipeline.code.closure import Closure
from mrs_pipeline.code.data_files import PackageFiles
from mrs_pipeline.code.definitions import Member
from mrs_pipeline.code.importing import Importing
from mrs_pipeline.code.inheritance import Inheritance, Inherited
from mrs_pipeline.code.links import Links, split_key
from mrs_pipeline.code.references import Reference
from mrs_pipeline.code.uses import ALL_FIELDS

_MAKING: Final = frozenset(
    {"__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__class_getitem__"}
)
"""Methods that run when a class or an object is made, not when it is used."""


@dataclass
class Index:
    """All that is known of the followed packages, and the members of their classes by name."""

    links: Links
    inheritance: Inheritance
    importing: Importing
    files: Mapping[str, PackageFiles]
    members: dict[str, list[tuple[Inherited, Member]]] = field(default_factory=dict)
    _added: set[str] = field(default_factory=set)

    def add(self, inherited: Inherited) -> None:
        """Have the members of a class found by their names."""
        if inherited.key not in self._added:
            self._added.add(inherited.key)
            for member in inherited.shape.members:
                self.members.setdefault(member.name, []).append((inherited, member))

    def files_with(self, key: str) -> PackageFiles:
        """The files of the package that a data file is in."""
        return self.files[key.partition("/")[0]]


@dataclass
class Search:
    """What has been reached, and what is still to be looked at.

    Attributes:
        index: what is known of the packages.
        stop: keys or modules that are not gone into.
        reached: keys of definitions, and of what led to each; None for roots.
        made: classes that code names.
        met: classes whose objects come from outside.
        words: words that occur.
        imported: modules.
        values: modules that are used as values.
        read: data files.
        boundaries: keys that were not gone into.
    """

    index: Index
    stop: frozenset[str]
    reached: dict[str, str | None] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    boundaries: set[str] = field(default_factory=set)
    _waiting: list[str] = field(default_factory=list)
    _at: str | None = None

    def copy(self) -> "Search":
        """The same state, to go on from with another root."""
        return Search(
            self.index,
            self.stop,
            dict(self.reached),
            set(self.made),
            set(self.met),
            set(self.words),
            set(self.imported),
            set(self.values),
            set(self.read),
            set(self.boundaries),
        )

    def add_root(self, key: str) -> None:
        """Reach a root and all that follows; objects for its parameters come from outside."""
        self.reach(key)
        owner, _, _ = key.rpartition(".")
        if ":" in owner:
            self.meet(owner)
        inherited = self.index.inheritance.of(key)
        members = () if inherited is None else inherited.shape.members
        making = [f"{split_key(key)[0]}:{member.key}" for member in members if member.name in _MAKING]
        for called in (key, *making):
            definition = self.index.links.definition(called)
            if definition is not None:
                self._meet_types(called, definition.parameters)
        while self._waiting:
            self._at = self._waiting.pop()
            self._look_at(self._at)
        self._at = None

    def reach(self, key: str) -> None:
        """A definition may be used."""
        if key in self.reached or key in self.boundaries:
            return
        link = self.index.links.link(key)
        if key in self.stop or split_key(key)[0] in self.stop or link.boundary:
            self.boundaries.add(key)
            for kind in link.kinds if link.boundary else ():
                self.meet(kind)
            return
        self.reached[key] = self._at
        self._waiting.append(key)
        inherited = self.index.inheritance.of(key)
        if inherited is not None:
            self._make(inherited)

    def meet(self, key: str) -> None:
        """Objects of a class may come from outside."""
        inherited = self.index.inheritance.of(key)
        if inherited is None or key in self.made or key in self.met:
            return
        if inherited.whole:
            self.reach(key)
            return
        self.met.add(key)
        self.index.add(inherited)
        self._import(split_key(key)[0])
        for base in inherited.bases:
            self.meet(base)
        for member in inherited.shape.members:
            if member.name in self.words or (member.hook and member.name.startswith("__")):
                self._use_member(inherited, member)

    def closure(self) -> Closure:
        """What has been reached, with digests."""
        definitions = {key: self._digest(key) for key in self.reached}
        definitions |= {key: self.index.files_with(key).read(key).digest for key in self.read}
        return Closure(MappingProxyType(definitions), frozenset(self.boundaries))

    def _look_at(self, key: str) -> None:
        link = self.index.links.link(key)
        self._import(split_key(key)[0])
        for name in link.imports:
            self._import(name)
        for target in link.targets:
            self.reach(target)
        for module in link.modules:
            self._reach_module(module)
        for file in link.files:
            self._read_file(file)
        self._hear(link.words)

    def _hear(self, words: frozenset[str]) -> None:
        """Words occur by which members may be meant."""
        new = words - self.words
        self.words |= new
        for word in new:
            for inherited, member in self.index.members.get(word, ()):
                self._use_member(inherited, member)
        if ALL_FIELDS in new:
            for inherited in filter(None, map(self.index.inheritance.of, list(self.made))):
                for member in inherited.shape.members:
                    if member.kind == "field" and not inherited.settings:
                        self._reach_member(inherited, member)

    def _make(self, inherited: Inherited) -> None:
        """Objects of a class may be made."""
        self.made.add(inherited.key)
        self.index.add(inherited)
        for member in inherited.shape.members:
            is_read = member.kind == "field" and ALL_FIELDS in self.words and not inherited.settings
            if inherited.whole or member.hook or member.name in self.words or is_read:
                self._reach_member(inherited, member)

    def _use_member(self, inherited: Inherited, member: Member) -> None:
        """A member is named: of an object that may be made, or of one from outside, which is made already."""
        if inherited.key in self.made:
            self._reach_member(inherited, member)
        elif inherited.key in self.met and member.kind == "field":
            self._meet_types(inherited.key, member.types)
        elif inherited.key in self.met and member.name not in _MAKING:
            self.reach(inherited.key_of(member))

    def _reach_member(self, inherited: Inherited, member: Member) -> None:
        key = inherited.key_of(member)
        self.reach(key)
        if member.kind == "field":
            if inherited.executed_types:
                self.reach(key + TYPE)
            self._meet_types(key, member.types)

    def _meet_types(self, key: str, types: Iterable[Reference]) -> None:
        for each in self.index.inheritance.named(split_key(key)[0], types):
            self.meet(each)

    def _import(self, name: str) -> None:
        """A module is imported, with all that this does."""
        stack = [name]
        while stack:
            each = stack.pop()
            if each not in self.imported:
                self.imported.add(each)
                stack += self.index.importing.imports(each)
                for key in self.index.importing.effects(each):
                    self.reach(key)

    def _reach_module(self, name: str) -> None:
        """A module is used as a value: whatever it binds may be meant."""
        stack = [name]
        while stack:
            each = stack.pop()
            module = self.index.links.names.module(each)
            if module is None or each in self.values:
                continue
            self.values.add(each)
            self._import(each)
            stack += module.stars
            for bound in module.bindings:
                for target in self.index.links.resolve(each, Reference((bound,))):
                    if target.kind == "definition":
                        self.reach(target.name)
                    elif target.kind == "module":
                        stack.append(target.name)

    def _read_file(self, key: str) -> None:
        """A data file is read, with those that it names."""
        if key not in self.read:
            self.read.add(key)
            among = self.index.files_with(key)
            file = among.read(key)
            for text in file.names:
                for other in among.named(text, key):
                    self._read_file(other)
            self._hear(file.words)

    def _digest(self, key: str) -> str:
        """Digest of a definition; for a class the order of its fields counts, or where a constructor has them."""
        digest = self.index.links.link(key).digest
        inherited = self.index.inheritance.of(key)
        if inherited is None:
            return digest
        fields = [
            f"{inherited.offset + (member.position or 0)} {member.name}"
            if inherited.positional
            else member.name
            for member in inherited.shape.members
            if member.kind != "method" and inherited.key_of(member) in self.reached
        ]
        return code_text_digest(digest, *fields)
