"""The files of a folder as a layout sees them: by their names without `.gz` and `.zst`, members of `.zip` among them.

Names and first lines only. Pictures, sounds and films are not listed; they are found by `media`.
"""

import ast
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.media import MEDIA_SUFFIXES
from mrs_pipeline.ingest.packing import PACKED, unpacked_stream

_MEDIA: Final = frozenset(suffix for suffixes in MEDIA_SUFFIXES.values() for suffix in suffixes)
_DEEPEST: Final = 4
_HEAD: Final = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        name: below the layout's folder, without the ending of its packing.
        path: the file on disk; the archive for a member of one.
        member: the name within the archive.
        packing: "", ".gz" or ".zst".
    """

    name: str
    path: Path
    member: str | None = None
    packing: str = ""

    def open(self) -> IO[bytes]:
        """The unpacked bytes, from the first on; InputError where the packing is broken."""
        if self.member is not None:
            archive = zipfile.ZipFile(self.path)
            return unpacked_stream(archive.open(self.member), self.packing)
        return unpacked_stream(self.path.open("rb"), self.packing)

    def head(self) -> str:
        """The beginning as text, for recognition: at most a megabyte, what is no UTF-8 replaced, no BOM."""
        try:
            with self.open() as stream:
                start = stream.read(_HEAD)
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise InputError(f"{self.shown} cannot be unpacked ({error}); download it again") from error
        return start.decode("utf-8-sig", errors="replace")

    @cached_property
    def lines(self) -> list[str]:
        """The first whole lines, up to a hundred."""
        head = self.head()
        lines = head.splitlines()
        return (lines[:-1] if len(head) >= _HEAD and len(lines) > 1 else lines)[:100]

    @property
    def first_line(self) -> str:
        """The first line; empty for an empty file."""
        return self.lines[0] if self.lines else ""

    @property
    def shown(self) -> str:
        """The name as it is on disk, for messages."""
        if self.member is not None:
            return f"{self.path.name}, {self.member}"
        return f"{self.name}{self.packing}"


@dataclass(frozen=True)
class Contents:
    """A folder.

    Attributes:
        root: the folder that was named.
        entries: its files, by name.
        base: folder below the root that the names are relative to; "" or `ml-1m/`.
        folders: names of all folders, relative to the base, in order.
    """

    root: Path
    entries: tuple[Entry, ...]
    base: str = ""
    folders: tuple[str, ...] = field(default=())

    @cached_property
    def names(self) -> dict[str, Entry]:
        """Name -> file."""
        return {entry.name: entry for entry in self.entries}

    def get(self, name: str) -> Entry | None:
        """The file of that name."""
        return self.names.get(name)

    def match(self, *patterns: str) -> list[Entry]:
        """The files whose names match one of the patterns, in name order; `*` does not cross a `/`."""
        return [entry for entry in self.entries if any(_matches(entry.name, each) for each in patterns)]

    def anywhere(self, *patterns: str) -> list[Entry]:
        """The files whose last name matches one of the patterns, at any depth."""
        return [
            entry
            for entry in self.entries
            if any(fnmatchcase(PurePosixPath(entry.name).name, each) for each in patterns)
        ]

    def below_root(self, entry: Entry) -> str | None:
        """A file's path below the root, as settings name it; None for a member of an archive."""
        return entry.path.relative_to(self.root).as_posix() if entry.member is None else None

    def folder(self, *patterns: str) -> str | None:
        """The first folder that matches one of the patterns, below the root, as `media_folders` wants it."""
        found = (each for each in self.folders if any(_matches(each, pattern) for pattern in patterns))
        return next((f"{self.base}{each}" for each in found), None)


def look_into(root: Path) -> Contents:
    """List a folder. Where its root holds no file but one folder, that folder is looked at, once.

    A `.zip` directly in it stands for its members, unless they lie unpacked beside it.
    """
    entries, folders = _walk(root)
    archives = [entry for entry in entries if entry.name.lower().endswith(".zip") and "/" not in entry.name]
    entries = [entry for entry in entries if entry not in archives]
    there = {entry.name for entry in entries}
    for archive in archives:
        entries += [member for member in _members(archive) if member.name not in there]
    base = _single_folder(entries)
    if base:
        entries = [
            Entry(each.name.removeprefix(base), each.path, each.member, each.packing) for each in entries
        ]
        folders = [each.removeprefix(base) for each in folders if each.startswith(base)]
    ordered = sorted(entries, key=lambda entry: (entry.name, entry.packing))
    unique = {
        entry.name: entry for entry in reversed(ordered)
    }  # an unpacked file goes before its packed twin
    return Contents(root, tuple(unique[name] for name in sorted(unique)), base, tuple(sorted(folders)))


def _single_folder(entries: list[Entry]) -> str:
    """`ml-1m/` where every file lies below that folder, else ""."""
    tops = {entry.name.partition("/")[0] if "/" in entry.name else "" for entry in entries}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""


def _walk(root: Path) -> tuple[list[Entry], list[str]]:
    """(files, folders) down to a bounded depth; links that lead out of the root are not followed."""
    home = root.resolve()
    entries: list[Entry] = []
    folders: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(root / inside) as found:
            for each in found:
                name = f"{inside}{each.name}"
                if each.name.startswith(".") or not _within(each, home):
                    continue
                if each.is_dir():
                    folders.append(name)
                    if name.count("/") < _DEEPEST and not each.is_symlink():
                        waiting.append(f"{name}/")
                elif each.is_file() and PurePosixPath(name).suffix.lower() not in _MEDIA:
                    entries.append(_entry(name, Path(each.path)))
    return entries, folders


def _within(each: "os.DirEntry[str]", home: Path) -> bool:
    return not each.is_symlink() or Path(each.path).resolve().is_relative_to(home)


def _entry(name: str, path: Path, member: str | None = None) -> Entry:
    for packing in PACKED:
        if name.endswith(packing):
            return Entry(name.removesuffix(packing), path, member, packing)
    return Entry(name, path, member)


def _members(archive: Entry) -> Iterator[Entry]:
    """The members of an archive by their own names; InputError if it is none or is locked."""
    try:
        with zipfile.ZipFile(archive.path) as opened:
            infos = opened.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{archive.name} cannot be unpacked ({error}); download it again") from error
    for info in infos:
        name = PurePosixPath(info.filename)
        junk = (
            name.is_absolute()
            or ".." in name.parts
            or any(part.startswith((".", "__")) for part in name.parts)
        )
        if not info.is_dir() and not junk and name.suffix.lower() not in _MEDIA:
            yield _entry(name.as_posix(), archive.path, info.filename)


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def first_keys(entry: Entry) -> frozenset[str]:
    """The keys of the first object of a file of JSON or Python literals, one a line; empty for any other file."""
    line = next((line for line in entry.lines if line.strip()), "")
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(line.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return frozenset(found) if isinstance(found, dict) else frozenset()
    return frozenset()


def rows(entry: Entry, delimiter: str) -> list[list[str]]:
    """The first lines cut at a delimiter, without the empty ones."""
    return [line.split(delimiter) for line in entry.lines if line]
