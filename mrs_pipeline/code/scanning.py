"""All files of some packages at one moment: one fingerprint of what they contain, and a stamp of each.

A closure follows from the files of the packages alone, so two moments of one fingerprint have the same closures.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mrs_pipeline.code.data_files import NOT_READ
from mrs_pipeline.code.stamps import Stamp, content_digest, stamp_of

_LARGEST: Final = 1_000_000
"""Bytes of a file that is compared by its content; a larger one, such as weights, by size and time."""


@dataclass(frozen=True)
class Scan:
    """Packages at one moment.

    Attributes:
        fingerprint: digest of the content of all files and of the names of all folders; None where closures may read
            what was not seen (links to folders), so that nothing may be told by it.
        stamps: of every file and folder, taken before it was read.
        contents: digests of files that were compared by their content.
    """

    fingerprint: str | None
    stamps: Mapping[Path, Stamp]
    contents: Mapping[Path, str]


def scan(packages: Mapping[str, Path]) -> Scan:
    """The packages as they are now, by top-level name -> folder, or file of a module."""
    stamps: dict[Path, Stamp] = {}
    contents: dict[Path, str] = {}
    state = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    linked = False
    for top in sorted(packages):
        base = packages[top]
        for path in _below(base):
            stamps[path] = stamp_of(path)
            if path.is_symlink() and path.is_dir():
                linked = True
            content = _content(path, stamps[path])
            if content is not None:
                contents[path] = content
            place = path.relative_to(base).as_posix()
            for part in (top, place, content or ("folder" if path.is_dir() else str(stamps[path]))):
                data = part.encode(errors="surrogateescape")
                state.update(b"%d:" % len(data) + data)
    return Scan(None if linked else state.hexdigest(), stamps, contents)


def _below(base: Path) -> Iterator[Path]:
    """A folder with all folders and files in it that a closure may read, in order; or the one file of a module."""
    if not base.is_dir():
        yield base
        return
    for folder, folders, names in os.walk(base):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield Path(folder)
        yield from (path for name in folders if (path := Path(folder, name)).is_symlink())
        yield from (Path(folder, name) for name in sorted(names) if _is_read(name))


def _is_read(name: str) -> bool:
    return name.endswith(".py") or not name.endswith(NOT_READ)


def _content(path: Path, stamp: Stamp) -> str | None:
    """Digest of a file; None of a folder, of a large file and of one that cannot be read."""
    if stamp.size > _LARGEST or path.is_dir():
        return None
    try:
        return content_digest(path.read_bytes())
    except OSError:
        return None
