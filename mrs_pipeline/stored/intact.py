"""Inputs that are looked at before dear work: a damaged one is refused by name, with the commands that mend it.

The digest of a table, of arrays or of weights costs little beside a training. What was found intact is remembered for
this process, as long as the file keeps its size and time of change.
"""

from functools import lru_cache
from pathlib import Path

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.artifacts import ArtifactManifest, ArtifactStore
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.table import Table
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import store_of, table_of
from mrs_pipeline.tasks.task import Stage


def intact_artifact(stage: Stage, node: Node) -> ArtifactManifest:
    """The manifest of a directory of arrays whose files are what was written.

    Raises:
        InputError: it has not been made, or it is damaged.
    """
    store, keys = store_of(stage, node)
    manifest = store.read(*keys)
    files = sorted(path for path in manifest.directory.rglob("*") if path.is_file())
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    _refuse(_artifact_fault(store.root, keys, manifest.digest, stamps), stage, node)
    return manifest


def require_intact_table(stage: Stage, node: Node) -> None:
    """Refuse a table whose rows are not what was written.

    Raises:
        InputError: it has not been made, or it is damaged.
    """
    table = table_of(stage, node)
    manifest = stage.lake.manifest(table)
    _refuse(_table_fault(stage.home.lake, table, manifest.digest, stage.lake.stamp(table)), stage, node)


def _refuse(fault: str | None, stage: Stage, node: Node) -> None:
    if fault is not None:
        name = stage.config.name
        at = "" if stage.window == FULL_WINDOW else f" --window {stage.window}"
        raise InputError(
            f"{node} of {name} {stage.window} {fault}: run `mrs verify {name} --discard`, then `mrs run {name}{at}`."
        )


@lru_cache(maxsize=256)
def _artifact_fault(
    root: Path,
    keys: tuple[str, ...],
    digest: str,  # noqa: ARG001 - part of the cache's key
    stamps: tuple[tuple[int, int], ...],  # noqa: ARG001 - likewise
) -> str | None:
    return ArtifactStore(root).fault(*keys)


@lru_cache(maxsize=256)
def _table_fault(root: Path, table: Table, digest: str, stamp: tuple[int, int]) -> str | None:  # noqa: ARG001
    return Lake(root).fault(table)
