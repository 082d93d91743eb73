"""What of a home is published, and in what pieces: each is replaced as a whole and has one file that is put last.

A unit is a partition of a table, an artifact, a page or a record of a version. Raw files, settings, checkpoints of
training that goes on, trials of searches and Dagster's own storage are none.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import Final

from filelock import FileLock

from mrs_pipeline.storage.artifacts import MANIFEST
from mrs_pipeline.storage.lake import PART

_ARTIFACTS: Final = (
    "data/features",
    "data/graphs",
    "data/pretrained",
    "data/raw_content",
    "data/final",
    "data/indexes",
    "models",
)
_LAKE: Final = "data/lake"
_REPORTS: Final = "data/reports"
_VERSIONS: Final = "data/versions"
_CONTENT: Final = "[0-9a-f]" * 16
"""Folders of an artifact's files, as `artifacts` names them."""
_MARKS: Final = ".sha256-*"


@dataclass(frozen=True)
class Unit:
    """A piece of a home.

    Attributes:
        root: the home's folder.
        name: of the unit's folder, or of its file, below the home.
    """

    root: Path
    name: str

    @property
    def path(self) -> Path:
        """The folder or file."""
        return self.root / self.name

    @property
    def is_file(self) -> bool:
        """Whether it is a page or a record and no folder."""
        return self.name.startswith((_REPORTS, _VERSIONS))

    @property
    def folder(self) -> Path:
        """What the names of its files begin from."""
        return self.path.parent if self.is_file else self.path

    @property
    def head(self) -> Path:
        """The file that is put last: where it is new the unit is new."""
        if self.name.startswith(_LAKE):
            return self.path / PART
        if self.name.startswith(_REPORTS):
            return self.path.with_name(f"{self.path.name}.json")
        return self.path if self.is_file else self.path / MANIFEST

    def files(self) -> list[Path]:
        """All its files, the head last."""
        if self.is_file:
            others = [self.path] if self.path != self.head else []
        else:
            found = [
                *self.path.glob(_MARKS),
                *(each for top in self.path.glob(_CONTENT) for each in top.rglob("*")),
            ]
            others = sorted(path for path in found if path.is_file())
        return [*others, self.head]

    def stamp(self) -> list[int] | None:
        """Size, time and number of the head; another one means another content. None where it is gone."""
        try:
            status = self.head.stat()
        except FileNotFoundError:
            return None
        return [status.st_size, status.st_mtime_ns, status.st_ino]

    def writing(self) -> AbstractContextManager[object]:
        """The lock that its writers on this machine hold."""
        if self.is_file:
            return nullcontext()
        self.path.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path / ".lock")

    def remove_others(self, kept: set[Path]) -> None:
        """Remove files of former contents."""
        if self.is_file:
            return
        for mark in self.path.glob(_MARKS):
            if mark not in kept:
                mark.unlink()
        for content in self.path.glob(_CONTENT):
            if not any(path.is_relative_to(content) for path in kept):
                rmtree(content)


def units(root: Path) -> Iterator[Unit]:
    """All units of a home that are there."""
    for part in (root / _LAKE).rglob(PART):
        yield _unit(root, part.parent)
    for store in _ARTIFACTS:
        for manifest in (root / store).rglob(MANIFEST):
            yield _unit(root, manifest.parent)
    for page in (root / _REPORTS).rglob("*.html"):
        if page.with_name(f"{page.name}.json").is_file():
            yield _unit(root, page)
    for record in (root / _VERSIONS).glob("[!.]*.json"):
        yield _unit(root, record)


def is_unit_name(name: str) -> bool:
    """Whether a text that comes from elsewhere can be the name of a unit: it stays below the known folders."""
    parts = PurePosixPath(name).parts
    known = name.startswith(tuple(f"{top}/" for top in (_LAKE, *_ARTIFACTS, _REPORTS, _VERSIONS)))
    return known and is_inner_name(name) and not any(part.startswith(".") for part in parts)


def is_inner_name(name: str) -> bool:
    """Whether a text can be the name of a file inside a unit."""
    parts = name.split("/")
    return "\\" not in name and "\0" not in name and not any(part in ("", ".", "..") for part in parts)


def _unit(root: Path, path: Path) -> Unit:
    return Unit(root, path.relative_to(root).as_posix())
