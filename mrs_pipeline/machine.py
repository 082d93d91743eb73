"""Faults of the machine in words: a full disk, a folder that cannot be written, no memory left, a damaged run record.

They surface as errors of many libraries, deep inside anything that writes; here they are known by what the system said.
"""

import errno
import os
import shutil
from pathlib import Path
from typing import Final

_AGAIN: Final = "then give the same command again, which goes on where it stopped"
_FULL: Final = ("no space left", "disk is full", "could not write all bytes", "disk quota exceeded")
_DAMAGED: Final = ("file is not a database", "malformed", "file is encrypted")
_BLOCKED: Final = (
    "readonly database",
    "unable to open database file",
    "read-only file system",
    "permission denied",
)
_SMALL: Final = 1 << 20
"""Free bytes below which a vague complaint means that the disk is full."""


def machine_fault(error: BaseException, home: Path | None = None) -> str | None:
    """The sentence about the machine behind an error, or behind what it was raised from; None if it is not to blame.

    Args:
        error: what was raised.
        home: the folder that is worked in, for the disk that is meant where the system names no file.
    """
    root = home or Path.cwd()
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        sentence = _explained(cause, root)
        if sentence is not None:
            return sentence
        cause = cause.__cause__ or cause.__context__
    return None


def _explained(error: BaseException, root: Path) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error, root)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        return (
            "memory is used up: close other programs or give DuckDB more (MRS_DUCKDB_MEMORY=4GB), with fewer threads "
            f"(MRS_DUCKDB_THREADS=2), {_AGAIN}."
        )
    library = type(error).__module__.partition(".")[0]
    text = str(error).lower()
    if library in ("duckdb", "_duckdb", "polars", "pyarrow", "safetensors_rust", "safetensors") and _says(
        text, _FULL
    ):
        return _full(root)
    return _of_sqlite(text, root) if library == "sqlite3" else None


def _of_system(error: OSError, root: Path) -> str | None:
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else root
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _full(place)
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return _blocked(place, os.strerror(error.errno))
        case errno.ELOOP:
            return f"{place} is a link that leads back to itself: remove it or point it at a file."
        case errno.EMFILE | errno.ENFILE:
            return f"too many files are open: allow more (`ulimit -n 4096`), {_AGAIN}."
    return None


def _of_sqlite(text: str, root: Path) -> str | None:
    """SQLite holds Dagster's record of runs and nothing else."""
    if _says(text, _DAMAGED):
        return (
            f"the record of runs in {root / 'data' / 'dagster'} is damaged ({text.splitlines()[0]}): move that folder "
            "away and give the same command again; results are kept, only the history in `mrs ui` is lost."
        )
    if _says(text, _FULL) or ("disk i/o error" in text and _is_full(root)):
        return _full(root)
    if _says(text, (*_BLOCKED, "disk i/o error")):
        return _blocked(root / "data" / "dagster", text.splitlines()[0])
    return None


def _full(place: Path) -> str:
    return f"the disk of {place} is full: free some space, {_AGAIN}."


def _blocked(place: Path, reason: str) -> str:
    mended = "make it readable and writable, or let MRS_HOME name a folder that is"
    return f"{place} cannot be used ({reason[:120]}): {mended}."


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(each in text for each in words)


def _is_full(place: Path) -> bool:
    return shutil.disk_usage(place).free < _SMALL
