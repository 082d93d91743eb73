"""The packages as they are at present, and closures in them.

A view is of one moment; where a file that it has read has changed since, the next question takes a new one. What
an earlier process has found for the same files is taken from the disk (`kept`), and source files are parsed only for
the rest.
"""

import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mrs_pipeline.code.closure import Closure
from mrs_pipeline.code.kept import Kept, question, recall, remember
from mrs_pipeline.code.program import ENGINE, Program, Root, key_of
from mrs_pipeline.code.scanning import scan
from mrs_pipeline.code.stamps import stamp_of
from mrs_pipeline.errors import InputError

_OWN: Final = __name__.partition(".")[0]
_lock: Final = threading.RLock()
_views: dict[tuple[str, ...], "View"] = {}
_first: dict[tuple[str, ...], "View"] = {}
_moment: Final[ContextVar[set[tuple[str, ...]] | None]] = ContextVar("moment", default=None)
"""Packages whose files have been looked at within `one_moment`; None outside of it."""


def closure(*roots: Root, stop: Collection[str] = ()) -> Closure:
    """Every definition that the roots can reach in this package and in their own.

    Args:
        roots: functions, classes, or references `package.module:Name`. Roots that many closures share should come
            first: what follows from them is found once.
        stop: keys of definitions, or modules, that are not gone into and do not count.

    Raises:
        InputError: a reference names nothing, or a source file is no Python.
    """
    keys = tuple(map(key_of, roots))
    tops = tuple(sorted({_OWN, *(key.partition(":")[0].partition(".")[0] for key in keys)}))
    packages = {top: _folder(top) for top in tops}
    with _lock:
        view = _views.get(tops)
        moment = _moment.get()
        looked_at = moment is not None and tops in moment
        if view is None or view.packages != packages or not (looked_at or view.is_current()):
            view = _views[tops] = View(packages)
        if moment is not None:
            moment.add(tops)
        _first.setdefault(tops, view)
        return view.closure(keys, {*stop, *ENGINE})


@contextmanager
def one_moment() -> Iterator[None]:
    """Closures that are asked for inside are of the files as they are at the first question: they are looked at once.

    For what asks for the code of many tasks in a second or so, and runs none of it.
    """
    token = _moment.set(set())
    try:
        yield
    finally:
        _moment.reset(token)


def edited_files() -> list[Path]:
    """Source files that were edited since this process first asked for a closure: what it runs may be the older text.

    The first closures are asked for when the definitions are loaded, before any task runs.
    """
    with _lock:
        loaded = [view for tops, view in _first.items() if all(top in sys.modules for top in tops)]
        return sorted({path for view in loaded for path in view.edited()})


def keep_closures() -> None:
    """Keep what this process has found on the disk, for those that come after it."""
    with _lock:
        for view in _views.values():
            view.keep()


class View:
    """Some packages at one moment.

    Attributes:
        packages: top-level name -> folder, or file of a module.
    """

    def __init__(self, packages: Mapping[str, Path]) -> None:
        self.packages = packages
        self._scan = scan(packages)
        self._kept = Kept() if self._scan.fingerprint is None else recall(self._scan.fingerprint)
        self._read = {path for place in self._kept.read if (path := self._path(place)) is not None}
        self._new: dict[str, Closure] = {}
        self._program: Program | None = None

    def closure(self, keys: tuple[str, ...], stop: Collection[str]) -> Closure:
        """What the roots reach, from what is kept or by a search."""
        asked = question(keys, stop)
        found = self._kept.closures.get(asked) or self._new.get(asked)
        if found is None:
            if self._program is None:
                self._program = Program(self.packages)
            found = self._new[asked] = self._program.closure(*keys, stop=stop)
        return found

    def is_current(self) -> bool:
        """Whether every file that was read, and every list of files, is still the same."""
        return not any(self.edited())

    def edited(self) -> Iterator[Path]:
        """The files and folders that were read and are not what they were at the moment of the view."""
        yield from (path for path in self._read if stamp_of(path) != self._scan.stamps.get(path))
        if self._program is not None:
            yield from self._program.edited()

    def keep(self) -> None:
        """Keep what was found, if what was read then is what the files held at the moment of the view."""
        if not self._new or self._program is None or self._scan.fingerprint is None:
            return
        stamps = self._program.stamps()
        contents = self._scan.contents
        if any(self._scan.stamps.get(path) != stamp for path, stamp in stamps.items()) or any(
            contents.get(path, digest) != digest for path, digest in self._program.contents().items()
        ):
            return
        read = {self._place(path) for path in stamps}
        remember(self._scan.fingerprint, Kept(self._new, read))
        self._kept.closures.update(self._new)
        self._new = {}

    def _place(self, path: Path) -> str:
        """`top/path` of a path in one of the packages."""
        for top, base in self.packages.items():
            if path == base or base in path.parents:
                return f"{top}/{path.relative_to(base).as_posix()}"
        raise ValueError(f"{path} is in no package that is followed")

    def _path(self, place: str) -> Path | None:
        """The path of `top/path`; None where the moment had none."""
        top, _, inner = place.partition("/")
        path = self.packages[top] / inner if inner != "." else self.packages[top]
        return path if path in self._scan.stamps else None


def _folder(top: str) -> Path:
    """The folder of a package, or the file of a module, found without importing it."""
    if top == _OWN:
        return Path(__file__).resolve().parents[1]
    spec = find_spec(top)
    if spec is None:
        raise InputError(f"there is no package {top}: install it, or correct the reference to it")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise InputError(f"the module {top} has no Python source, so its code cannot be compared")
    return Path(spec.origin).resolve()
