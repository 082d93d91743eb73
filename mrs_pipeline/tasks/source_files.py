"""The files of a source: their states, their digests, and reading them while they rest.

Files may be written, replaced, renamed and removed at any moment. What is recorded of a reading is the digest of what
was read; a digest is kept for each state of a file, so that one that rests is read once.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import duckdb

from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import MediaPlaces, Source
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.node import Files
from mrs_pipeline.tasks.task import Stage

FileState = tuple[int, int, int, int]
"""Size, inode, and the times of the last change of content and of anything: other content has another state."""

_ATTEMPTS: Final = 3
_Read = TypeVar("_Read")


def source_of(stage: Stage) -> Source:
    """The dataset's raw files; InputError where they are absent."""
    return open_source(stage.config.source, stage.home.root)


def source_name(source: Source, path: Path) -> str:
    """What provenance calls a file of the source."""
    return f"{Files.SOURCE}/{path.relative_to(source.root)}"


def file_state(path: Path) -> FileState | None:
    """The state of a file now; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def file_states(paths: Iterable[Path]) -> dict[Path, FileState]:
    """The states of those of the files that are there."""
    return {path: state for path in paths if (state := file_state(path)) is not None}


def source_states(source: Source) -> dict[Path, FileState]:
    """The state of each file that decides raw tables and matrices."""
    return file_states(source.files())


def source_digests(source: Source) -> dict[str, str]:
    """Name -> digest of each file that decides raw tables and matrices, as it is now."""
    return _digests(source, source_states(source))


def _digests(source: Source, states: Mapping[Path, FileState]) -> dict[str, str]:
    return {source_name(source, path): digest_at(path, state) for path, state in states.items()}


def media_states(stage: Stage, source: Source) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file where media of items are looked for, by its path below the root.

    Where that is, is read from the catalogue once for each state of it.

    Raises:
        InputError: the catalogue cannot be read.
    """
    landings = set(source.landings())
    catalogue = {path: state for path, state in source_states(source).items() if path not in landings}
    places = _media_places(
        stage.home, stage.config.source.model_dump_json(), tuple(sorted(catalogue.items()))
    )
    below = (
        Path(folder).relative_to(source.root).as_posix() + "/"
        for tree in places.trees
        for folder, *_ in os.walk(source.root / tree)
    )
    found: dict[str, tuple[int, int]] = {}
    for folder in {*below, *places.folders}:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(source.root / folder) as entries:
            for entry in entries:
                if entry.is_file() and source.root / folder / entry.name not in landings:
                    status = entry.stat()
                    found[f"{folder}{entry.name}"] = status.st_size, status.st_mtime_ns
    return found


@lru_cache(maxsize=64)
def _media_places(home: Home, source: str, catalogue: tuple[tuple[Path, FileState], ...]) -> MediaPlaces:  # noqa: ARG001
    opened = open_source(source_options(json.loads(source)), home.root)
    with Lake(home.lake).connect() as con:
        return opened.media_places(con)


def at_rest(
    stage: Stage, read: Callable[[Source, Mapping[str, str]], _Read], drop: Callable[[], None] | None = None
) -> tuple[_Read, dict[str, str]]:
    """Read the source while none of its files changes; what came of it, and the digests of what was read.

    Where a file is changed, added, removed or renamed meanwhile, everything is read again.

    Args:
        stage: whose source.
        read: is given the opened source and the digest of each file.
        drop: lets go of what was read in vain.

    Raises:
        InputError: the files change each time; or what `read` refuses.
    """
    changed: set[Path] = set()
    for _ in range(_ATTEMPTS):
        source = source_of(stage)
        before = source_states(source)
        try:
            digests = _digests(source, before)
            found = read(source, digests)
        except (MrsError, duckdb.Error, OSError):
            if _now(stage) == before:
                raise
        else:
            if _now(stage) == before:
                return found, digests
        now = _now(stage)
        changed = {
            path for path in before.keys() | now.keys() if before.get(path) != now.get(path)
        } or changed
        if drop is not None:
            drop()
    named = ", ".join(sorted(path.name for path in changed)[:3])
    raise InputError(
        f"{source.root}: {named} changed {_ATTEMPTS} times while the source was read; run again when it is "
        "complete, or have it written under a name that begins with '_' and renamed when it is"
    )


def _now(stage: Stage) -> dict[Path, FileState]:
    return source_states(source_of(stage))


@lru_cache(maxsize=1 << 16)
def digest_at(path: Path, state: FileState) -> str:  # noqa: ARG001 - the state is part of the cache's key
    """Digest of a file that is in this state; of one that is changing, of no use to anybody."""
    try:
        return file_digest(path)
    except FileNotFoundError:
        return "absent"
