"""Definitions joined to what they use: the definitions, modules and files that each leads to.

A link says what follows from one definition alone; what follows from a task's roots is `closure`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mrs_pipeline.code.canonical import code_text_digest
from mrs_pipeline.code.data_files import PackageFiles
from mrs_pipeline.code.definitions import Definition
from mrs_pipeline.code.names import Names, Target
from mrs_pipeline.code.references import Import, Reference
from mrs_pipeline.code.uses import ALL_FIELDS

BOUNDARY: Final = f"{__name__.partition('.')[0]}.code.boundary:boundary"
"""What a constant is assigned whose content is in no closure."""

_READS_FIELDS: Final = frozenset(
    {"dataclasses.asdict", "dataclasses.astuple", "dataclasses.fields", "typing.get_type_hints", "vars"}
)
_READS_FIELDS_BY_WORD: Final = frozenset({"__dict__", "__dataclass_fields__", "__annotations__"})
_READS_MODULE: Final = frozenset({"globals", "sys.modules"})


@dataclass(frozen=True)
class Link:
    """What one definition leads to.

    Attributes:
        digest: digest of its text and of what the names in it stand for.
        targets: keys of definitions.
        modules: modules whose every definition it may use.
        words: see `Uses`.
        imports: modules of the followed packages that it imports when it runs.
        files: keys of data files.
        boundary: whether the closure ends before it.
        kinds: of a boundary, the class that it is an object of.
    """

    digest: str
    targets: tuple[str, ...]
    modules: tuple[str, ...]
    words: frozenset[str]
    imports: tuple[str, ...]
    files: tuple[str, ...]
    boundary: bool
    kinds: tuple[str, ...]


def split_key(key: str) -> tuple[str, str]:
    """Module and name of a key."""
    module, _, name = key.partition(":")
    return module, name


@dataclass
class Links:
    """Links of the definitions of some packages, made when they are first asked for."""

    names: Names
    files: Mapping[str, PackageFiles]
    _links: dict[str, Link] = field(default_factory=dict)

    def definition(self, key: str) -> Definition | None:
        """The definition of a key; None if there is none."""
        module, name = split_key(key)
        found = self.names.module(module)
        return None if found is None else found.definitions.get(name)

    def resolve(self, module: str, reference: Reference, *, for_types: bool = False) -> list[Target]:
        """What a reference in the module of that name may stand for."""
        found = self.names.module(module)
        return [] if found is None else self.names.resolve(found, reference, for_types=for_types)

    def link(self, key: str) -> Link:
        """What the definition leads to."""
        if key not in self._links:
            self._links[key] = self._linked(key)
        return self._links[key]

    def imported(self, imports: Iterable[Import]) -> tuple[str, ...]:
        """The modules of the followed packages that import statements run."""
        found: set[str] = set()
        for each in imports:
            candidates = [each.module, *([f"{each.module}.{each.name}"] if each.name else [])]
            found.update(name for name in candidates if self.names.module(name) is not None)
        return tuple(sorted(found))

    def _linked(self, key: str) -> Link:
        module, _ = split_key(key)
        definition = self.definition(key)
        assert definition is not None, key
        found = [
            (".".join(reference.chain), target)
            for reference in definition.uses.references
            for target in self.resolve(module, reference)
        ]
        edges = sorted({f"{written}={target.name}" for written, target in found if written != target.name})
        outside = {target.name for _, target in found if target.kind == "external"}
        inside = {target.name for _, target in found if target.kind == "definition"}
        modules = {target.name for _, target in found if target.kind == "module"}
        if outside & _READS_MODULE:
            modules.add(module)
        words = definition.uses.words
        if outside & _READS_FIELDS or words & _READS_FIELDS_BY_WORD:
            words |= {ALL_FIELDS}
        made_by = [[target.name for target in self.resolve(module, each)] for each in definition.made_by]
        return Link(
            code_text_digest(definition.digest, *edges),
            tuple(sorted(inside)),
            tuple(sorted(modules)),
            words,
            self.imported(definition.uses.imports),
            tuple(self._named_files(module, definition)),
            bool(made_by) and BOUNDARY in made_by[0],
            tuple(made_by[1]) if made_by[1:] else (),
        )

    def _named_files(self, module: str, definition: Definition) -> list[str]:
        files = self.files.get(module.partition(".")[0])
        if files is None:
            return []
        near = module.replace(".", "/") + ".py"
        texts = definition.uses.words | definition.uses.strings
        return sorted({path for text in texts for path in files.named(text, near)})
