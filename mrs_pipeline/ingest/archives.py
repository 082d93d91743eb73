"""A source that is one `.zip`: unpacked once for each state of it, below the project's home.

Only regular files that stay inside the folder come out; what would fill the disk, or grows beyond all proportion, is
refused before anything is written. The folder can be deleted. Memory is a block.
"""

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from filelock import FileLock

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.packing import RESERVE

UNPACKED_FOLDER: Final = "data/unpacked"
"""Where archives are unpacked, below the project's home."""

_BLOCK: Final = 1 << 20
_GROWTH: Final = 200
_SMALL: Final = 1 << 30
"""Bytes up to which nobody asks how much an archive grows."""
_MOST_FILES: Final = 5_000_000
_DIGITS: Final = 12


def unpacked(archive: Path, home_root: Path) -> Path:
    """The folder with an archive's files; where they all lie in one folder, that one.

    Raises:
        InputError: it is no archive, is locked, leads out of the folder, or does not fit on the disk.
    """
    status = archive.stat()
    place = home_root / UNPACKED_FOLDER / f"{archive.stem}-{_digest(archive.as_posix())}"
    root = place / _digest(f"{status.st_size} {status.st_mtime_ns}")
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        if not root.is_dir():
            _unpack(archive, place, root)
    inside = [path for path in root.iterdir() if not path.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else root


def _unpack(archive: Path, place: Path, root: Path) -> None:
    temporary = place / f".{uuid4().hex[:8]}"
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir() and _is_wanted(info)]
            _require_harmless(archive, members, shutil.disk_usage(place).free - RESERVE)
            temporary.mkdir()
            for info in members:
                _write(opened, info, temporary / info.filename)
        for former in place.iterdir():
            if former.is_dir() and former != temporary:
                shutil.rmtree(former)
        temporary.rename(root)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{archive} cannot be unpacked ({error}); download it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts
    return not any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts)


def _require_harmless(archive: Path, members: list[zipfile.ZipInfo], room: int) -> None:
    if not members:
        raise InputError(f"{archive} holds no file; name another one")
    for info in members:
        name = PurePosixPath(info.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in name.parts[0]:
            raise InputError(
                f"{archive}: the member '{info.filename}' leads out of the folder; do not use this file"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(f"{archive}: the member '{info.filename}' is a link; pack the file itself")
        if info.flag_bits & 1:
            raise InputError(f"{archive} is locked with a password; unpack it and name the folder")
    size, packed = sum(info.file_size for info in members), archive.stat().st_size
    if len(members) > _MOST_FILES or (size > _SMALL and size > _GROWTH * packed):
        raise InputError(
            f"{archive} has {packed / 1e6:.1f} MB and claims {size / 1e9:.1f} GB in {len(members):,} files; if you "
            "trust it, unpack it yourself and name the folder"
        )
    if size > room:
        raise InputError(
            f"{archive} needs {size / 1e9:.1f} GB unpacked, and {max(room, 0) / 1e9:.1f} GB are free; make room"
        )


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _BLOCK)
    # The time within the archive: unpacking it again makes nothing look new.
    moment = datetime(*info.date_time).timestamp() if info.date_time[1] else 0.0
    os.utime(target, (moment, moment))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
