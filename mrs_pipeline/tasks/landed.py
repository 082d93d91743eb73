"""Which windows are due for the files as they are now.

A raw window is due where a file that it has rows of, or would have rows of, is not the one that it was made from: this
covers files that are new, changed, renamed or gone, and rows that moved to another window. A later window is due where
the history that its tables were made from has changed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from mrs_pipeline.errors import UnreadableError
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import FULL_WINDOW, SOURCE_FILE
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.tasks.node import CORE_INTERACTIONS, RAW_INTERACTIONS, RAW_ITEMS, Files, Node
from mrs_pipeline.tasks.places import exists, table_of, windows
from mrs_pipeline.tasks.seen_files import Tick
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.windows import scored_keys


def due_windows(tick: Tick, media: str) -> dict[str, str]:
    """Window -> digest of what it is due for, in order."""
    stage, config = tick.stage, tick.stage.config
    keys = windows(config) if config.windowed else [FULL_WINDOW]
    if not keys:
        return {}
    due = {
        key: why
        for key, members in _members(tick, keys).items()
        if (why := _why(tick, key, members)) is not None
    }
    made = [key for key in keys if exists(stage, RAW_INTERACTIONS.at(key))]
    scored = set(scored_keys(config.window, datetime.now(UTC)))
    later = [key for key in made if key in scored]
    if _catalogue_changed(tick, media):
        catalogue = _catalogue_digest(tick, media)
        due |= {key: text_digest(due.get(key, ""), catalogue) for key in later or made[-1:]}
    for key in later:
        history = _history_changed(stage.at(key), [other for other in made if other < key])
        if history is not None:
            due.setdefault(key, history)
    last = max((key for key in due if key in scored), default="")
    # a window is made from all raw windows up to it, empty ones too
    lacking = {key: text_digest("history") for key in keys if key < last and key not in made}
    return {key: (lacking | due)[key] for key in keys if key in lacking or key in due}


def _members(tick: Tick, keys: list[str]) -> dict[str, dict[str, str]]:
    """Window -> the files with rows in it, and their digests."""
    members: dict[str, dict[str, str]] = {key: {} for key in keys}
    for name, each in tick.landings.items():
        if not each.fault:
            for key in {_place(keys, key) for key in each.keys} if tick.stage.config.windowed else keys:
                members[key][name] = each.digest
    return members


def _place(keys: list[str], key: str) -> str:
    """The dataset's window for rows of a window by the calendar: the first also takes those of none of them."""
    return key if keys[0] <= key <= keys[-1] else keys[0]


def _why(tick: Tick, window: str, members: Mapping[str, str]) -> str | None:
    """Digest of what a window is due for; None where it is made from the files that it would be made from now."""
    stage, node = tick.stage.at(window), RAW_INTERACTIONS.at(window)
    found = _made(stage, node)
    rows = sorted(f"{name} {digest}" for name, digest in members.items() if name not in tick.moving)
    if found is None:
        return text_digest(*rows) if rows else None
    _, made = found
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


def _history_changed(stage: Stage, earlier: list[str]) -> str | None:
    """Digest of what a window's tables were made from and of what is there now, where these differ.

    Rows of earlier windows are part of all later ones; where an earlier window is read again with another outcome, the
    later ones follow.
    """
    core = _made(stage, CORE_INTERACTIONS)
    if core is None:
        return None
    nodes = [RAW_ITEMS, *(RAW_INTERACTIONS.at(key) for key in earlier)]
    now = {str(node): found[0] for node in nodes if (found := _made(stage, node)) is not None}
    changed = sorted(f"{name} {digest}" for name, digest in now.items() if core[1].get(name) != digest)
    return text_digest(core[0], *changed) if changed else None


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


def _catalogue_changed(tick: Tick, media: str) -> bool:
    """Whether items, matrices, media or triples are not those that the catalogue was made from."""
    found = _made(tick.stage, RAW_ITEMS)
    if found is None:
        return False
    _, made = found
    if tick.memory.media and tick.memory.media != media:
        return True
    gone = tick.memory.catalogue.keys() - tick.catalogue.keys()
    changed = (
        not each.fault and name not in tick.moving and made.get(name) != each.digest
        for name, each in tick.catalogue.items()
    )
    return any(changed) or any(name in made for name in gone)


def _catalogue_digest(tick: Tick, media: str) -> str:
    """Of what the catalogue would be made from now, and of what it is: the same change may come twice."""
    stamp = tick.stage.lake.stamp(table_of(tick.stage, RAW_ITEMS))
    moment = "" if tick.memory.media in ("", media) else str(tick.now)  # media leave no trace in the table
    return text_digest(
        str(stamp), moment, *(f"{name} {each.digest}" for name, each in sorted(tick.catalogue.items()))
    )


def _made(stage: Stage, node: Node) -> tuple[str, Mapping[str, str]] | None:
    """Digest of a table and what it was made from; None where it is absent or damaged."""
    table = table_of(stage, node)
    try:
        return _manifest(stage.home, table, stage.lake.stamp(table)) if stage.lake.exists(table) else None
    except (UnreadableError, FileNotFoundError):
        return None


@lru_cache(maxsize=1 << 14)
def _manifest(home: Home, table: Table, stamp: tuple[int, int]) -> tuple[str, Mapping[str, str]]:  # noqa: ARG001
    manifest = Lake(home.lake).manifest(table)
    return manifest.digest, manifest.provenance.upstream
