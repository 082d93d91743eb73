"""What takes space, and what of it no setting, champion or run needs any more: `mrs gc`.

Needed is what the tasks of the dataset's settings make, at every window there is, whether current or due; what the
champion and the one before it keep; and records (lineage, promotions, searches, Dagster's history). All else can go:
what was made of models, feature sets and windows that the settings do not name any more, their pages too, what
earlier champions kept, and what a killed promotion left. What somebody is writing at this moment is
left for the next time.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.plan import on_request, plan
from mrs_pipeline.promotion.decisions import alone, champions_in_use
from mrs_pipeline.promotion.keeping import kept_folders
from mrs_pipeline.schema import DATASET, FULL_WINDOW, MODEL, WINDOW
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.pages import discard_page, manifest_path, manifests
from mrs_pipeline.storage.table import Table
from mrs_pipeline.tasks.node import Kind
from mrs_pipeline.tasks.places import STORES, windows
from mrs_pipeline.tasks.task import Stage

_LOCK: Final = ".lock"
_PAGES: Final = "pages"
_BY_NAME: Final[Mapping[str, Kind]] = {"features": Kind.FEATURES, "vectors": Kind.VECTORS}
"""Schemas whose tables are named like nodes -> the kind of these."""
_BY_KEY: Final[Mapping[str, Kind]] = {"feature_set": Kind.QUALITY, "experiment": Kind.EXPERIMENTS}
"""Partition keys that are the names of nodes -> the kind of these."""


@dataclass(frozen=True)
class Held:
    """One thing that takes space.

    Attributes:
        kind: what sort of thing, for the sum: a store or a schema of the lake.
        dataset: whose it is.
        what: which.
        path: its folder, or the page.
        needed: whether it has to stay.
        size: bytes of its files.
        freed: bytes that removing it frees: those of files that no other name points at.
    """

    kind: str
    dataset: str
    what: str
    path: Path
    needed: bool
    size: int
    freed: int


def held(home: Home, configs: Mapping[str, DatasetConfig], dataset: str | None = None) -> list[Held]:
    """All that takes space, by kind.

    Args:
        home: whose stores.
        configs: settings of its datasets; of those without settings nothing is listed.
        dataset: only this one; all if None.
    """
    chosen = {name: config for name, config in configs.items() if dataset in (None, name)}
    return [each for config in chosen.values() for each in _of_dataset(home, config)]


def remove(home: Home, things: Sequence[Held]) -> list[Held]:
    """Remove what is not needed of the things; returns what was removed."""
    return [each for each in things if not each.needed and _remove(home, each)]


def _of_dataset(home: Home, config: DatasetConfig) -> Iterator[Held]:
    names: dict[Kind, set[str]] = {}
    for task in (*plan(config), *on_request(config)):
        for output in task.outputs:
            names.setdefault(output.kind, set()).add(output.name)
    keys = {FULL_WINDOW, *windows(config)}
    yield from _tables(home, config, names, keys)
    yield from _directories(home, config, names, keys)
    yield from _pages(home, config, names, keys)
    yield from _champions(home, config)


def _tables(
    home: Home, config: DatasetConfig, names: Mapping[Kind, set[str]], keys: set[str]
) -> Iterator[Held]:
    lake = Lake(home.lake)
    for schema, name in lake.tables():
        for table in lake.partitions(schema, name, **{DATASET: config.name}):
            path = lake.files(table)[0].parent
            yield _held(schema, config, str(table), path, _is_needed(table, config, names, keys))


def _is_needed(table: Table, config: DatasetConfig, names: Mapping[Kind, set[str]], keys: set[str]) -> bool:
    """Whether a partition is one that the settings make, or a record."""
    if table.schema == "lineage":
        return True
    parts = dict(table.keys)
    by_key = all(parts[key] in names.get(kind, ()) for key, kind in _BY_KEY.items() if key in parts)
    by_name = table.schema not in _BY_NAME or table.name in names.get(_BY_NAME[table.schema], ())
    listed = MODEL not in parts or parts[MODEL] in config.model_configs
    return by_key and by_name and listed and parts.get(WINDOW, FULL_WINDOW) in keys


def _directories(
    home: Home, config: DatasetConfig, names: Mapping[Kind, set[str]], keys: set[str]
) -> Iterator[Held]:
    for kind, folder in STORES.items():
        for path in sorted((getattr(home, folder) / config.name).glob("*/*")):
            if any(_contents(path)):
                needed = path.parent.name in keys and path.name in names.get(kind, ())
                yield _held(str(kind), config, f"{kind}/{path.name}@{path.parent.name}", path, needed)


def _pages(
    home: Home, config: DatasetConfig, names: Mapping[Kind, set[str]], keys: set[str]
) -> Iterator[Held]:
    """Pages of feature sets and studies, `<kind>/<window>/<name>.html`; the dataset's own pages always stay."""
    root = home.reports / config.name
    for kind in (Kind.FEATURES, Kind.EXPERIMENTS):
        for path in manifests(root / kind):
            window = path.parent.name
            needed = window in keys and path.stem in names.get(kind, ())
            yield _held(_PAGES, config, f"page {kind}/{path.stem}@{window}", path, needed)


def _champions(home: Home, config: DatasetConfig) -> Iterator[Held]:
    used = {each.kept for each in champions_in_use(Stage(config, home))}
    for path in kept_folders(home, config.name):
        yield _held("champions", config, path.name, path, path.name in used)


def _held(kind: str, config: DatasetConfig, what: str, path: Path, needed: bool) -> Held:
    paths = path.rglob("*") if path.is_dir() else (path, manifest_path(path))
    files = [each.stat() for each in paths if each.is_file()]
    size = sum(each.st_size for each in files)
    freed = sum(each.st_size for each in files if each.st_nlink == 1)
    return Held(kind, config.name, what, path, needed, size, freed)


def _contents(path: Path) -> Iterator[Path]:
    """What lies in a folder beside its lock."""
    return (each for each in path.iterdir() if each.name != _LOCK) if path.is_dir() else iter(())


def _remove(home: Home, thing: Held) -> bool:
    """Remove one thing, unless somebody is writing it. A page is replaced in one rename and needs no lock."""
    if thing.kind == _PAGES:
        discard_page(thing.path)
        return True
    lock = alone(home, thing.dataset) if thing.kind == "champions" else FileLock(thing.path / _LOCK)
    try:
        with lock.acquire(timeout=0):
            for path in list(_contents(thing.path)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if thing.kind == "champions":
                thing.path.rmdir()
    except Timeout:
        return False
    return True
