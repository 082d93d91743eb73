"""Which windows are due because files of the source have come, changed or gone: what the sensor asks at each tick.

A tick compares what the raw tables are stamped with against the files as they are now, so it also sees what changed
while nobody looked, and what a run met half written. A file counts once it rests. Its digest and its windows are worked
out once for each state of it and kept in a `Memory` that travels as text.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.ingest.landing import keys_in
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import FULL_WINDOW, SOURCE_FILE
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS, Files, Node
from mrs_pipeline.tasks.places import exists, table_of, windows
from mrs_pipeline.tasks.source_files import (
    digest_at,
    file_state,
    media_states,
    source_name,
    source_of,
    source_states,
)
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.windows import scored_keys

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


@dataclass(frozen=True)
class Look:
    """What a tick found.

    Attributes:
        due: window -> digest of what it is due for, in order; without those that were asked for with the same.
        faults: file (or `source`) -> why it cannot be read.
        memory: for the next tick.
    """

    due: Mapping[str, str]
    faults: Mapping[str, str]
    memory: Memory


def look(stage: Stage, memory: Memory, settle: float, now: float | None = None) -> Look:
    """Look at a dataset's files.

    Args:
        stage: the dataset.
        memory: of the tick before.
        settle: seconds that a file must have been unchanged for.
        now: seconds since 1970; the clock's by default.
    """
    moment = time.time() if now is None else now
    try:
        source = source_of(stage)
        tick = _Tick(stage, source, memory, settle, moment)
        tick.look_at_files()
    except InputError as fault:  # the folder is gone, or nothing is left to read in it
        faults = {str(Files.SOURCE): str(fault)}
        return Look({}, faults, memory.model_copy(update={"faults": faults}))
    except FileNotFoundError:  # a file went while it was looked at
        return Look({}, memory.faults, memory)
    media, media_after = tick.look_at_media()
    needed = _due_windows(tick, media)
    asked = {window: why for window, why in needed.items() if memory.asked.get(window) != why}
    files = {**tick.landings, **tick.catalogue}
    faults = {name: each.fault for name, each in files.items() if each.fault}
    after = Memory(
        landings=tick.landings,
        catalogue=tick.catalogue,
        media=media,
        media_after=media_after,
        waiting=tick.waiting,
        asked=needed,
        faults=faults,
    )
    return Look(asked, faults, after)


@dataclass
class _Tick:
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
        with self.stage.lake.connect() as con:
            for path, state in source_states(self.source).items():
                name, text = source_name(self.source, path), ":".join(map(str, state))
                before, after = self._drawer(path in rows)
                known = before.get(name)
                if known is not None and known.state == text:
                    after[name] = known
                    continue
                found = None
                if self._rests(name, path, text, state[2] / 1e9) and (
                    not examined or time.monotonic() < deadline
                ):
                    found = self._examined(con, path, state, text, known, rows=path in rows)
                    examined += 1
                if found is not None:
                    after[name] = found
                    continue
                self.moving.add(name)
                if known is not None:
                    after[name] = known
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
        self,
        con: duckdb.DuckDBPyConnection,
        path: Path,
        state: tuple[int, int, int, int],
        text: str,
        known: SeenFile | None,
        *,
        rows: bool,
    ) -> SeenFile | None:
        """Digest, windows and fault of a file; None where it changed while it was read."""
        digest = digest_at(path, state)
        if known is not None and known.digest == digest:  # touched, or written again with the same content
            return known.model_copy(update={"state": text})
        keys: list[str] = []
        fault = ""
        every = self.stage.config.window.every if self.stage.config.windowed else "year"
        try:
            if rows:
                keys = keys_in(con, self.source.landing_sql(con, path), every)
            elif path not in self._matrices():
                self.source.items_sql(con)
        except InputError as error:
            fault = str(error)
        except duckdb.Error:
            if file_state(path) == state:
                raise
        if file_state(path) != state:
            return None
        return SeenFile(state=text, digest=digest, keys=tuple(keys), fault=fault)

    def _matrices(self) -> set[Path | None]:
        return {path for matrix in self.source.matrices().values() for path in (matrix.path, matrix.ids)}


def _due_windows(tick: _Tick, media: str) -> dict[str, str]:
    """Window -> digest of what it is due for, in order."""
    stage, config = tick.stage, tick.stage.config
    keys = windows(config) if config.windowed else [FULL_WINDOW]
    if not keys:
        return {}
    members: dict[str, dict[str, str]] = {key: {} for key in keys}
    for name, each in tick.landings.items():
        for key in {_place(keys, key) for key in each.keys} if config.windowed else keys:
            if not each.fault:
                members[key][name] = each.digest
    due = {key: why for key in keys if (why := _why(tick, key, members[key])) is not None}
    scored = set(scored_keys(config.window, datetime.now(UTC)))
    made = [key for key in keys if exists(stage, RAW_INTERACTIONS.at(key))]
    if _catalogue_changed(tick, media):
        catalogue = _catalogue_digest(tick, media)
        for key in [key for key in made if key in scored] or made[-1:]:
            due[key] = text_digest(due.get(key, ""), catalogue)
    last = max((key for key in due if key in scored), default="")
    for key in keys:  # a window is made from all raw windows up to it, empty ones too
        if key < last and key not in made and key not in due:
            due[key] = text_digest("history")
    return {key: due[key] for key in keys if key in due}


def _place(keys: list[str], key: str) -> str:
    """The dataset's window for rows of a window by the calendar: the first also takes those of none of them."""
    return key if keys[0] <= key <= keys[-1] else keys[0]


def _why(tick: _Tick, window: str, members: Mapping[str, str]) -> str | None:
    """Digest of what a window is due for; None where it is made from the files that it would be made from now."""
    stage, node = tick.stage.at(window), RAW_INTERACTIONS.at(window)
    made = _stamped(stage, node)
    rows = sorted(f"{name} {digest}" for name, digest in members.items() if name not in tick.moving)
    if made is None:
        return text_digest(*rows) if rows else None
    now = {name: each.digest for name, each in tick.landings.items()}
    others = tick.catalogue.keys() | tick.memory.catalogue.keys()
    changed = {
        name
        for name in (now.keys() | made.keys()) - others - tick.moving
        if name.startswith(f"{Files.SOURCE}/") and now.get(name) != made.get(name)
    }
    if not changed:
        return None
    table = table_of(stage, node)
    stamp = stage.lake.stamp(table)
    held = _held(stage.home, table, stamp)
    mine = sorted(name for name in changed if name in members or held & _row_names(tick.source, name))
    return text_digest(str(stamp), *mine, *rows) if mine else None


def _row_names(source: Source, name: str) -> set[str]:
    """What rows of a file have as `source_file`, by its name in provenance."""
    path = name.removeprefix(f"{Files.SOURCE}/")
    return {path, *source.row_names(source.root / path)}


@lru_cache(maxsize=4096)
def _held(home: Home, table: Table, stamp: tuple[int, int]) -> frozenset[str]:  # noqa: ARG001
    """The files that a partition of raw rows has rows of."""
    lake = Lake(home.lake)
    with lake.connect() as con:
        rows = con.execute(f"SELECT DISTINCT {SOURCE_FILE} FROM {lake.scan(table)}").fetchall()
    return frozenset(row[0] for row in rows)


def _catalogue_changed(tick: _Tick, media: str) -> bool:
    """Whether items, matrices, media or triples are not those that the catalogue was made from."""
    made = _stamped(tick.stage, RAW_ITEMS)
    if made is None:
        return False
    if tick.memory.media and tick.memory.media != media:
        return True
    gone = tick.memory.catalogue.keys() - tick.catalogue.keys()
    changed = (
        not each.fault and name not in tick.moving and made.get(name) != each.digest
        for name, each in tick.catalogue.items()
    )
    return any(changed) or any(name in made for name in gone)


def _catalogue_digest(tick: _Tick, media: str) -> str:
    """Of what the catalogue would be made from now, and of what it is: the same change may come twice."""
    stamp = tick.stage.lake.stamp(table_of(tick.stage, RAW_ITEMS))
    moment = "" if tick.memory.media in ("", media) else str(tick.now)  # media leave no trace in the table
    return text_digest(
        str(stamp), moment, *(f"{name} {each.digest}" for name, each in sorted(tick.catalogue.items()))
    )


def _stamped(stage: Stage, node: Node) -> Mapping[str, str] | None:
    """What a raw table was made from; None where it is absent or damaged."""
    table = table_of(stage, node)
    try:
        return _upstream(stage.home, table, stage.lake.stamp(table)) if stage.lake.exists(table) else None
    except (UnreadableError, FileNotFoundError):
        return None


@lru_cache(maxsize=4096)
def _upstream(home: Home, table: Table, stamp: tuple[int, int]) -> Mapping[str, str]:  # noqa: ARG001
    return Lake(home.lake).manifest(table).provenance.upstream


def _ends_its_last_line(path: Path) -> bool:
    """Whether a text ends with the end of a line; True for files of other kinds."""
    if path.suffix.lower() not in _TEXTS:
        return True
    with path.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            return True
        stream.seek(-1, 2)
        return stream.read(1) in (b"\n", b"\r", b"\0")  # \0: the end of a line in UTF-16
