"""The files of a source as the sensor sees them: which rest, which move, which are gone, and what is in them.

The digest of a file and the windows of its rows are worked out once for each state of it, and kept in a `Memory` that
travels from tick to tick as text. Which windows are due for it is `landed`.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.landing import keys_in
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.source_files import (
    FileState,
    digest_at,
    file_state,
    media_states,
    source_name,
    source_states,
)
from mrs_pipeline.tasks.task import Stage

LOOK_SECONDS: Final = 20.0
"""A tick examines changed files for so long, at least one; the others come with the next tick."""
UNFINISHED_SECONDS: Final = 60.0
"""How long a text whose last line has no end must have rested before it counts as complete."""
_MEDIA_SHARE: Final = 10
"""Media are listed again after ten times the seconds that it took, at the earliest."""
_ABSENT: Final = "absent"
_TEXTS: Final = (".csv", ".tsv", ".inter", ".jsonl", ".ndjson")
_STRICT: Final = ConfigDict(frozen=True, extra="forbid")


class SeenFile(BaseModel):
    """What was found out about a file in one state."""

    model_config = _STRICT

    state: str
    digest: str
    keys: tuple[str, ...] = ()
    """Windows, by the calendar, that its rows lie in."""
    fault: str = ""
    """Why it cannot be read."""


class Memory(BaseModel):
    """What one tick hands to the next. Files are called as in provenance (`source/<path>`)."""

    model_config = _STRICT

    settings: str = ""
    """Digest of the settings that the files were read by."""
    landings: dict[str, SeenFile] = {}
    catalogue: dict[str, SeenFile] = {}
    """The other files of the source: items and matrices."""
    media: str = ""
    """Digest of the states of the media and the triples."""
    media_after: float = 0.0
    """When the media are looked at again."""
    waiting: dict[str, tuple[str, float]] = {}
    """File that does not rest yet -> its state, and when it was first seen in it."""
    asked: dict[str, str] = {}
    """Window -> digest of what it was last asked for with."""
    faults: dict[str, str] = {}
    """What cannot be read -> the sentence."""

    @classmethod
    def parse(cls, text: str | None) -> "Memory":
        """What an earlier tick wrote; empty where it is of another version."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


@dataclass
class Tick:
    """One look at the files.

    Attributes:
        landings / catalogue: the files that have rested, and those that move as they were when they last did.
        waiting: see `Memory`.
        moving: names of the files that nothing is decided by in this tick.
    """

    stage: Stage
    source: Source
    memory: Memory
    settle: float
    now: float
    landings: dict[str, SeenFile] = field(default_factory=dict)
    catalogue: dict[str, SeenFile] = field(default_factory=dict)
    waiting: dict[str, tuple[str, float]] = field(default_factory=dict)
    moving: set[str] = field(default_factory=set)

    def look_at_files(self) -> None:
        """Sort the source's files into those that rest, those that move, and those that are gone."""
        deadline = time.monotonic() + LOOK_SECONDS
        rows = set(self.source.landings())
        examined = 0
        for path, state in source_states(self.source).items():
            name, text = source_name(self.source, path), ":".join(map(str, state))
            before, after = self._drawer(path in rows)
            known = before.get(name)
            found = known if known is not None and known.state == text else None
            in_time = not examined or time.monotonic() < deadline
            if found is None and self._rests(name, path, text, state[2] / 1e9) and in_time:
                found = self._examined(path, state, text, known, rows=path in rows)
                examined += 1
            if found is None:
                self.moving.add(name)
            kept = found or known
            if kept is not None:
                after[name] = kept
        for landing in (True, False):
            before, after = self._drawer(landing)
            for name in before.keys() - after.keys():
                if self.settle and not self._unchanged(name, _ABSENT):
                    self.moving.add(name)
                    after[name] = before[name]

    def look_at_media(self) -> tuple[str, float]:
        """(digest of the states of media and triples, when to look again); as before while one of them moves."""
        memory = self.memory
        if self.now < memory.media_after:
            return memory.media, memory.media_after
        started = time.perf_counter()
        try:
            states = dict(media_states(self.stage, self.source))
        except InputError:  # the catalogue's fault, which is named with it
            return memory.media, 0.0
        knowledge = self.stage.config.knowledge
        triples = (
            file_state(self.source.root / knowledge.triples) if knowledge and knowledge.triples else None
        )
        if knowledge and triples:
            states[str(knowledge.triples)] = triples[0], triples[2]
        pause = _MEDIA_SHARE * (time.perf_counter() - started)
        again = self.now + pause if pause > UNFINISHED_SECONDS else 0.0
        if any(0 <= self.now - modified / 1e9 < self.settle for _, modified in states.values()):
            return memory.media, again
        return text_digest(*(f"{name} {states[name]}" for name in sorted(states))), again

    def _drawer(self, landing: bool) -> tuple[Mapping[str, SeenFile], dict[str, SeenFile]]:
        """(what the tick before knew, what this one finds) of the interactions or of the other files."""
        if landing:
            return self.memory.landings, self.landings
        return self.memory.catalogue, self.catalogue

    def _rests(self, name: str, path: Path, state: str, modified: float) -> bool:
        """Whether a file was last written long enough ago, or has been seen like this for as long."""
        needed = self.settle if _ends_its_last_line(path) else max(self.settle, UNFINISHED_SECONDS)
        return self.now - modified >= needed or self._unchanged(name, state)

    def _unchanged(self, name: str, state: str) -> bool:
        """Whether earlier ticks have seen a file in this state for the time it takes to settle; notes since when."""
        known, since = self.memory.waiting.get(name, ("", self.now))
        if known != state:
            since = self.now
        elif self.now - since >= self.settle:
            return True
        self.waiting[name] = (state, since)
        return False

    def _examined(
        self, path: Path, state: FileState, text: str, known: SeenFile | None, *, rows: bool
    ) -> SeenFile | None:
        """Digest, windows and fault of a file; None where it changed while it was read."""
        digest = digest_at(path, state)
        if known is not None and known.digest == digest:  # touched, or written again with the same content
            return known.model_copy(update={"state": text})
        config = self.stage.config
        every = config.window.every if config.windowed else "year"
        try:
            keys, fault = _read(
                self.stage.home, config.source.model_dump_json(), path, state, every if rows else ""
            )
        except (duckdb.Error, OSError):
            if file_state(path) == state:
                raise
            return None
        if file_state(path) != state:
            return None
        return SeenFile(state=text, digest=digest, keys=keys, fault=fault)


@lru_cache(maxsize=4096)
def _read(home: Home, source: str, path: Path, state: FileState, every: str) -> tuple[tuple[str, ...], str]:  # noqa: ARG001
    """(windows of a file of interactions, fault); of another file, with an empty `every`, only the fault.

    Kept for each state of a file: a tick that took too long is not in vain.
    """
    opened = open_source(source_options(json.loads(source)), home.root)
    matrices = {each for matrix in opened.matrices().values() for each in (matrix.path, matrix.ids)}
    with Lake(home.lake).connect() as con:
        try:
            if every:
                return tuple(keys_in(con, opened.landing_sql(con, path), every)), ""
            if path not in matrices:
                opened.items_sql(con)
        except InputError as fault:
            return (), str(fault)
    return (), ""


def _ends_its_last_line(path: Path) -> bool:
    """Whether a text ends with the end of a line; True for files of other kinds."""
    if path.suffix.lower() not in _TEXTS:
        return True
    with path.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            return True
        stream.seek(-1, 2)
        return stream.read(1) in (b"\n", b"\r", b"\0")  # \0: the end of a line in UTF-16
