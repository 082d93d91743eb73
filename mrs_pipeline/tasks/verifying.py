"""Is what is stored still what was written? Digests of everything kept, computed again and compared.

Currency compares recorded digests and reads no content, so a file that has been damaged since goes unnoticed there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET, FULL_WINDOW, WINDOW
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.pages import discard_page, manifests, page_fault
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import STORES, exists, node_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.checkpoint import CHECKPOINT, checkpoint_fault


@dataclass(frozen=True)
class Fault:
    """Something stored that is not what was written.

    Attributes:
        what: a sentence's subject: the table, artifact, checkpoint or page.
        dataset: whose it is.
        window: at which window; `full` for what has none.
        reason: what is wrong with it.
        kept: it is a copy that a champion was promoted with, not what runs make.
    """

    what: str
    dataset: str
    window: str
    reason: str
    kept: bool = False

    @property
    def remedy(self) -> str:
        """The command that makes it again, once it has been discarded; for what is kept, one that serves another."""
        if self.kept:
            return f"mrs promote {self.dataset} MODEL, or mrs rollback {self.dataset}"
        at = "" if self.window == FULL_WINDOW else f" --window {self.window}"
        return f"mrs run {self.dataset}{at}"


@dataclass(frozen=True)
class Verified:
    """What a verification looked at and found.

    Attributes:
        looked_at: how many things.
        faults: those that are not what was written.
    """

    looked_at: int
    faults: tuple[Fault, ...]


def verify(
    home: Home, configs: Mapping[str, DatasetConfig], dataset: str | None = None, *, discard: bool = False
) -> Verified:
    """Recompute the digests of tables, arrays, weights, checkpoints and pages, and of what champions keep.

    Args:
        home: whose stores.
        configs: settings of its datasets, which say where what was made should be.
        dataset: only this dataset's; all if None.
        discard: remove what is damaged, so that the next run makes it again. What champions keep stays: no run
            makes it again.
    """
    faults: list[Fault] = []
    looked_at = 0
    for each in (_tables, _artifacts, _checkpoints, _pages, _kept):
        for found in each(home, dataset, discard):
            looked_at += 1
            if found is not None:
                faults.append(found)
    seen = {(fault.what, fault.dataset, fault.window) for fault in faults}
    faults += [
        each
        for each in dict.fromkeys(_gone(home, dataset, configs))
        if (each.what, each.dataset, each.window) not in seen
    ]
    return Verified(looked_at, tuple(faults))


def _tables(home: Home, dataset: str | None, discard: bool) -> Iterator[Fault | None]:
    lake = Lake(home.lake)
    for schema, name in lake.tables():
        for table in lake.partitions(schema, name):
            keys = dict(table.keys)
            if dataset not in (None, keys.get(DATASET)):
                continue
            reason = lake.fault(table)
            if reason and discard:
                lake.delete(table)
            yield (
                Fault(str(table), keys.get(DATASET, ""), keys.get(WINDOW, FULL_WINDOW), reason)
                if reason
                else None
            )


def _artifacts(home: Home, dataset: str | None, discard: bool) -> Iterator[Fault | None]:
    for folder in STORES.values():
        root: Path = getattr(home, folder)
        store = ArtifactStore(root)
        for keys in store.names():
            if len(keys) != 3 or dataset not in (None, keys[0]):
                continue
            reason = store.fault(*keys)
            if reason and discard:
                store.discard(*keys)
            yield Fault(f"{root.name}/{keys[2]}", keys[0], keys[1], reason) if reason else None


def _checkpoints(home: Home, dataset: str | None, discard: bool) -> Iterator[Fault | None]:
    for root in (home.models, home.final):
        for path in sorted(root.glob(f"{dataset or '*'}/*/*/resume/seed=*/{CHECKPOINT}")):
            owner, window, model, *_ = path.relative_to(root).parts
            reason = checkpoint_fault(path)
            if reason and discard:
                path.unlink()
            name = f"{root.name}/{model}, {path.parent.name}"
            yield Fault(f"checkpoint of {name}", owner, window, reason) if reason else None


def _pages(home: Home, dataset: str | None, discard: bool) -> Iterator[Fault | None]:
    for path in manifests(home.reports / dataset if dataset else home.reports):
        owner, *rest = path.relative_to(home.reports).parts
        reason = page_fault(path)
        if reason and discard:
            discard_page(path)
        yield Fault(f"page {'/'.join(rest)}", owner, _window_of(rest), reason) if reason else None


def _kept(home: Home, dataset: str | None, _discard: bool) -> Iterator[Fault | None]:
    """Copies that champions were promoted with; never discarded."""
    for folder in sorted(home.champions.glob(f"{dataset or '*'}/[!.]*")):
        copy = Home(home.root, kept=folder)
        for found in (*_tables(copy, None, False), *_artifacts(copy, None, False)):
            yield found and replace(found, what=f"{found.what}, kept as {folder.name}", kept=True)


def _window_of(parts: list[str]) -> str:
    """Pages of feature sets and experiments lie below `<kind>/<window>`; the report is of all windows."""
    return parts[1] if len(parts) > 2 else FULL_WINDOW


def _gone(home: Home, dataset: str | None, configs: Mapping[str, DatasetConfig]) -> Iterator[Fault]:
    """What lineage says was made and is not there any more; datasets without settings are not asked about."""
    lake = Lake(home.lake)
    for table in lake.partitions("lineage", "materializations", **({DATASET: dataset} if dataset else {})):
        keys = dict(table.keys)
        if keys[DATASET] not in configs:
            continue
        try:
            assets = lake.read(table)["asset"].to_list()
        except InputError:
            continue  # damaged, and named above
        stage = Stage(configs[keys[DATASET]], home, keys[WINDOW])
        for asset in assets:
            if not exists(stage, node_of(stage, Node.parse(asset))):
                yield Fault(asset, keys[DATASET], keys[WINDOW], "is gone")
