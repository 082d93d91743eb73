"""Whether a file on the disk is still the one that was read."""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes when a file or the list of files in a folder does; (0, 0) where there is none."""

    modified: int
    size: int


def content_digest(data: bytes) -> str:
    """What changes when the content of a file does."""
    return hashlib.sha256(data).hexdigest()


def stamp_of(path: Path) -> Stamp:
    """The stamp of a path as it is now."""
    try:
        status = path.stat()
    except OSError:
        return Stamp(0, 0)
    return Stamp(status.st_mtime_ns, status.st_size)
