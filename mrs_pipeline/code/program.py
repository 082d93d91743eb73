"""Packages as their files are now, and the closures of roots in them.

A `Program` is a view of one moment: it reads each file once. Which moment is the present one is `present`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mrs_pipeline.code.closure import Closure
from mrs_pipeline.code.data_files import PackageFiles
from mrs_pipeline.code.definitions import Module
from mrs_pipeline.code.importing import Importing
from mrs_pipeline.code.inheritance import Inheritance
from mrs_pipeline.code.links import Links
from mrs_pipeline.code.names import Names
from mrs_pipeline.code.search import Index, Search
from mrs_pipeline.code.stamps import Stamp, stamp_of
from mrs_pipeline.errors import InputError

Root = Callable[..., Any] | type | str
"""A function, a class, or `package.module:Name`, which is read without being imported."""

ENGINE: Final = tuple(
    f"{__package__}.{path.stem}" for path in Path(__file__).parent.glob("*.py") if path.stem != "boundary"
)
"""This package finds the code of a task and decides no result: it is in no closure."""


def key_of(root: Root) -> str:
    """The key of a root.

    Raises:
        TypeError: a function or class that no module defines under its name.
    """
    if isinstance(root, str):
        return root
    module, name = getattr(root, "__module__", None), getattr(root, "__qualname__", "")
    if not module or not name or "<" in name or module == "__main__":
        raise TypeError(f"{root!r} is no function or class of a module, so its code cannot be found")
    return f"{module}:{name}"


@dataclass
class Program:
    """Some packages as their files are when they are first read.

    Attributes:
        packages: top-level name -> folder, or file of a module.
    """

    packages: Mapping[str, Path]
    _closures: dict[tuple[tuple[str, ...], frozenset[str]], Closure] = field(default_factory=dict)
    _searches: dict[tuple[tuple[str, ...], frozenset[str]], Search] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = Names(MappingProxyType(dict(self.packages)))
        self._files = {top: PackageFiles(path) for top, path in self.packages.items() if path.is_dir()}
        links = Links(self._names, self._files)
        inheritance = Inheritance(links)
        self._index = Index(links, inheritance, Importing(links, inheritance), self._files)

    def closure(self, *roots: Root, stop: Collection[str] = ()) -> Closure:
        """As the function of that name."""
        keys = tuple(map(key_of, roots))
        question = (keys, frozenset(stop))
        if question not in self._closures:
            self._closures[question] = self._search(*question).closure()
        return self._closures[question]

    def path(self, key: str, *roots: Root, stop: Collection[str] = ()) -> tuple[str, ...]:
        """How the roots come to a definition: keys from a root to `key`, each leading to the next.

        Raises:
            KeyError: they do not reach it.
        """
        reached = self._search(tuple(map(key_of, roots)), frozenset(stop)).reached
        found = [key]
        while (before := reached[found[-1]]) is not None:
            found.append(before)
        return tuple(reversed(found))

    def is_current(self) -> bool:
        """Whether every file that was read, and every list of files, is still the same."""
        return not any(self.edited())

    def edited(self) -> Iterator[Path]:
        """The files and folders that are not what they were when they were read."""
        return (path for path, stamp in self.stamps().items() if stamp_of(path) != stamp)

    def stamps(self) -> dict[Path, Stamp]:
        """The files and folders that were read, as they were then."""
        found = dict(self._names.stamps)
        for files in self._files.values():
            found |= files.stamps
        return found

    def contents(self) -> dict[Path, str]:
        """Digests of what was read in files."""
        found = dict(self._names.contents)
        for files in self._files.values():
            found |= files.contents
        return found

    def source(self, name: str) -> tuple[Path, Module]:
        """The file of a module and what it defines; KeyError if there is none."""
        path, module = self._names.path(name), self._names.module(name)
        if path is None or module is None:
            raise KeyError(name)
        return path, module

    def definition_at(self, path: Path, line: int) -> str | None:
        """Key of the definition that a line of a file belongs to; None for a line or file without one."""
        for top, folder in self.packages.items():
            if path == folder or folder in path.parents:
                inner = path.relative_to(folder).with_suffix("").parts
                parts = inner[:-1] if inner[-1:] == ("__init__",) else inner
                module = self._names.module(".".join((top, *parts)))
                name = None if module is None else module.at(line)
                return None if name is None or module is None else f"{module.name}:{name}"
        return None

    def _search(self, keys: tuple[str, ...], stop: frozenset[str]) -> Search:
        """What the roots reach, going on from what all but the last of them do."""
        if (keys, stop) not in self._searches:
            if keys:
                search = self._search(keys[:-1], stop).copy()
                self._require(keys[-1])
                search.add_root(keys[-1])
            else:
                search = Search(self._index, stop)
            self._searches[keys, stop] = search
        return self._searches[keys, stop]

    def _require(self, key: str) -> None:
        module, _, name = key.partition(":")
        found = self._names.module(module)
        if found is None:
            raise InputError(
                f"{key}: there is no module {module}; write package.module:Name of what is there"
            )
        if name not in found.definitions:
            raise InputError(f"{key}: {module} defines no {name or 'such name'}; write package.module:Name")
