"""What a name stands for, across modules: definitions of the packages that are followed, whole modules, the outside.

Follows imports, re-exports, star imports and submodules without running any. Modules are read when a name first
leads to them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from mrs_pipeline.code.definitions import Module
from mrs_pipeline.code.modules import parse, read
from mrs_pipeline.code.references import Import, Reference
from mrs_pipeline.code.stamps import Stamp, content_digest, stamp_of

_GETATTR: Final = "__getattr__"


@dataclass(frozen=True, slots=True)
class Target:
    """What a name stands for.

    Attributes:
        kind: "definition" of a followed package, one of its modules as a "module", or "external".
        name: `package.module:Name`, `package.module`, or the dotted name outside.
        rest: attributes of the definition that are meant.
    """

    kind: Literal["definition", "module", "external"]
    name: str
    rest: tuple[str, ...] = ()


_read: dict[Path, tuple[Stamp, Module, str]] = {}
"""Modules as they were read in this process, as long as their files stay what they were, and digests of the files."""


@dataclass
class Names:
    """The modules of the followed packages.

    Attributes:
        packages: top-level name -> folder of a package, or file of a module.
        stamps: files that were read, as they were then.
        contents: digests of what was read in them.
    """

    packages: Mapping[str, Path]
    stamps: dict[Path, Stamp] = field(default_factory=dict)
    contents: dict[Path, str] = field(default_factory=dict)
    _modules: dict[str, Module | None] = field(default_factory=dict)

    def module(self, name: str) -> Module | None:
        """The module of that name; None if it is of no followed package, or has no source."""
        if name not in self._modules:
            self._modules[name] = self._load(name)
        return self._modules[name]

    def path(self, name: str) -> Path | None:
        """The file of a module; for a package its `__init__.py`, or its folder where it has none."""
        top, *parts = name.split(".")
        if top not in self.packages:
            return None
        base = self.packages[top].joinpath(*parts)
        candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
        if not parts and base.is_file():
            return base
        found = next((path for path in candidates if path.is_file()), None)
        return found or (base if base.is_dir() else None)

    def resolve(self, module: Module, reference: Reference, *, for_types: bool = False) -> list[Target]:
        """What a reference in `module` may stand for; a builtin is external.

        Args:
            module: where it is written.
            reference: the name.
            for_types: whether imports that only type checkers see count.
        """
        seen: set[tuple[str, str]] = set()
        if reference.origin is not None:
            found = self._import(reference.origin, reference.chain[1:], seen, for_types)
        else:
            found = self._name(module, reference.chain, seen, for_types)
        return list(dict.fromkeys(found))

    def _load(self, name: str) -> Module | None:
        path = self.path(name)
        if path is None:
            return None
        if path.is_dir():
            return Module(name, name)
        stamp = stamp_of(path)
        self.stamps[path] = stamp
        known = _read.get(path)
        if known is None or known[0] != stamp or known[1].name != name:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            data = path.read_bytes()
            module = read(Module(name, package), parse(path, data))
            known = _read[path] = (stamp, module, content_digest(data))
        self.contents[path] = known[2]
        return known[1]

    def _name(
        self, module: Module, chain: tuple[str, ...], seen: set[tuple[str, str]], for_types: bool
    ) -> Iterator[Target]:
        if (module.name, chain[0]) in seen:
            return
        seen.add((module.name, chain[0]))
        bindings = module.bindings.get(chain[0], ())
        if for_types and not bindings:
            bindings = module.for_types.get(chain[0], ())
        for binding in bindings:
            if isinstance(binding, Import):
                yield from self._import(binding, chain[1:], seen, for_types)
            else:
                yield Target("definition", f"{module.name}:{binding}", chain[1:])
        if bindings:
            return
        stars = [self.module(star) for star in module.stars]
        found = [
            target
            for star in stars
            if star is not None
            for target in self._name(star, chain, seen, for_types)
            if target.kind != "external"
        ]
        yield from found or [Target("external", ".".join(chain))]

    def _import(
        self, binding: Import, rest: tuple[str, ...], seen: set[tuple[str, str]], for_types: bool
    ) -> Iterator[Target]:
        chain = rest if binding.name is None else (binding.name, *rest)
        module = self.module(binding.module)
        if module is None:
            yield Target("external", ".".join((binding.module, *chain)))
        else:
            yield from self._attribute(module, chain, seen, for_types)

    def _attribute(
        self, module: Module, chain: tuple[str, ...], seen: set[tuple[str, str]], for_types: bool
    ) -> Iterator[Target]:
        """What `module.chain` stands for, seen from outside."""
        if not chain:
            yield Target("module", module.name)
            return
        name = chain[0]
        submodule = self.module(f"{module.name}.{name}") if module.package == module.name else None
        found = [] if name == _GETATTR else list(self._name(module, chain, seen, for_types))
        inside = [target for target in found if name in module.bindings or target.kind != "external"]
        yield from inside
        if submodule is not None and not self._taken_from(module, name, submodule.name):
            yield from self._attribute(submodule, chain[1:], seen, for_types)
        elif not inside:
            yield from self._unknown(module, name)

    def _taken_from(self, module: Module, name: str, submodule: str) -> bool:
        """Whether a package binds a name that hides the submodule, since it imports it from there."""
        bindings = module.bindings.get(name, ())
        return any(isinstance(each, Import) and each.module == submodule for each in bindings)

    def _unknown(self, module: Module, name: str) -> Iterator[Target]:
        """A name that the source does not bind: the module finds it itself, or it may be anything in it."""
        if _GETATTR in module.definitions:
            yield Target("definition", f"{module.name}:{_GETATTR}")
        elif name.startswith("__") and name.endswith("__"):
            yield Target("external", f"{module.name}.{name}")
        else:
            yield Target("module", module.name)
