"""Where nodes are stored: as a partition of a table, as a directory of arrays, or as a page."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.storage.pages import page_exists, read_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tables import TABLES
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.metrics import METRICS_TABLE
from mrs_pipeline.tables.user_metrics import USER_METRICS_TABLE
from mrs_pipeline.tasks.node import (
    KNOWLEDGE_GRAPH,
    LEADERBOARD,
    RAW_INTERACTIONS,
    RAW_ITEMS,
    REPORT,
    WINDOW_DRIFT,
    Kind,
    Node,
)
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.windows import window_keys

_PARTITIONED: Final[Mapping[Kind, tuple[str, str, str]]] = {
    Kind.RECOMMENDATIONS: ("serving", "recommendations", "model"),
    Kind.METRICS: ("eval", "metrics", "model"),
    Kind.EXPERIMENTS: ("eval", "experiments", "experiment"),
    Kind.QUALITY: ("quality", "feature_sets", "feature_set"),
}
"""Kinds of which one table holds all: its schema and name, and the partition key that a node's name is a value of."""

_RENAMED: Final[Mapping[Node, tuple[str, str]]] = {
    KNOWLEDGE_GRAPH: ("core", "knowledge"),
    WINDOW_DRIFT: ("quality", "drift"),
}
"""Tables that are not called like their nodes -> schema and name."""

STORES: Final[Mapping[Kind, str]] = {
    Kind.FEATURES: "features",
    Kind.TOKENS: "tokens",
    Kind.GRAPHS: "graphs",
    Kind.PRETRAINED: "pretrained",
    Kind.RAW_CONTENT: "raw_content",
    Kind.TRAINED: "models",
    Kind.FINAL: "final",
    Kind.INDEX: "indexes",
}
"""Kinds that are directories of arrays -> the store of the stage, and folder of the home, that holds them."""


def windows(config: DatasetConfig) -> list[str]:
    """All windows of a dataset up to the one that is open now."""
    return window_keys(config.window, datetime.now(UTC))


def window_before(stage: Stage) -> Stage | None:
    """The stage at the window before its own; None where there is none."""
    earlier = [key for key in windows(stage.config) if key < stage.window] if stage.config.windowed else []
    return stage.at(earlier[-1]) if earlier else None


def expand(stage: Stage, task: Task, asset: Node) -> list[Node]:
    """The nodes behind an input of a task.

    Raw interactions mean those of every window up to the stage's own; to a task that stands above all windows
    (leaderboard, report) an input means every window of it that there is.
    """
    if not task.windowed and asset not in (RAW_ITEMS, LEADERBOARD):
        return [asset.at(key) for key in windows(stage.config) if exists(stage.at(key), asset)]
    if asset in task.where_there and not exists(stage, asset):
        return []
    if asset != RAW_INTERACTIONS:
        return [asset]
    if not stage.config.windowed:
        return [asset.at(FULL_WINDOW)]
    require_window(stage)
    return [asset.at(key) for key in windows(stage.config) if key <= stage.window]


def require_window(stage: Stage) -> None:
    """InputError where the stage's window is none of the dataset's, or has not begun yet."""
    keys = windows(stage.config) if stage.config.windowed else [FULL_WINDOW]
    if stage.window not in keys:
        known = f"its windows are {keys[0]} to {keys[-1]}" if keys else "none of its windows has begun"
        raise InputError(f"{stage.config.name} has no window {stage.window}; {known}.")


def node_of(stage: Stage, output: Node) -> Node:
    """The node of an output at the stage's window."""
    return output.at(stage.window) if output == RAW_INTERACTIONS else output


def table_of(stage: Stage, node: Node) -> Table:
    """The lake's partition behind a node that is a table."""
    window = node.window or stage.window
    if node.asset == RAW_ITEMS:
        return stage.table("raw", "items", window=FULL_WINDOW)
    if node.asset in _RENAMED:
        return stage.table(*_RENAMED[node.asset], window=window)
    if node.kind in (Kind.RAW, Kind.CORE):
        return stage.table(str(node.kind), node.name, window=window)
    if node.kind is Kind.VECTORS:
        return stage.table("vectors", node.name, window=window)
    if node.asset == LEADERBOARD:
        return Table.of("eval", "leaderboard", dataset=stage.config.name)
    schema, table, key = _PARTITIONED[node.kind]
    return stage.table(schema, table, window=window, **{key: node.name})


def store_of(stage: Stage, node: Node) -> tuple[ArtifactStore, tuple[str, ...]]:
    """The artifact store and keys behind a node that is a directory of arrays."""
    store: ArtifactStore = getattr(stage, STORES[node.kind])
    return store, (stage.config.name, node.window or stage.window, node.name)


def is_directory(node: Node) -> bool:
    """Whether a node is a directory of arrays, not a table."""
    return node.kind in STORES and node.asset != KNOWLEDGE_GRAPH


def page_of(stage: Stage, node: Node) -> Path:
    """The file behind a node that is a page."""
    return stage.home.reports / stage.config.name / f"{node.name}.html"


def is_page(node: Node) -> bool:
    """Whether a node is a page for people."""
    return node.asset == REPORT


def exists(stage: Stage, node: Node) -> bool:
    """Whether the node has been materialised."""
    if is_page(node):
        return page_exists(page_of(stage, node))
    if is_directory(node):
        store, keys = store_of(stage, node)
        return store.exists(*keys)
    return stage.lake.exists(table_of(stage, node))


def record(stage: Stage, node: Node) -> tuple[str, Provenance]:
    """Digest and provenance of a materialised node; InputError names it where it is absent."""
    if is_page(node):
        page = read_page(page_of(stage, node))
        return page.digest, page.provenance
    if is_directory(node):
        store, keys = store_of(stage, node)
        artifact = store.read(*keys)
        return artifact.digest, artifact.provenance
    table = stage.lake.manifest(table_of(stage, node))
    return table.digest, table.provenance


def schema_of(output: Node) -> TableSchema | None:
    """The schema of an output that is a table (features: of its SQL copy); None for graphs, weights, pages."""
    if output in _RENAMED:
        return TABLES["/".join(_RENAMED[output])]
    if output.kind is Kind.FEATURES:
        return TABLES["features"]
    if output.kind is Kind.VECTORS:
        return TABLES["vectors"]
    if output.kind in _PARTITIONED:
        schema, table, _ = _PARTITIONED[output.kind]
        return TABLES[f"{schema}/{table}"]
    return TABLES.get(str(output))


def column_sources(config: DatasetConfig, output: Node) -> dict[str, list[tuple[str, str]]]:
    """Column -> (asset, column) pairs that it is computed from; empty where the output is no table."""
    table = schema_of(output)
    if table is None:
        return {}
    return {
        column: [pair for name, source in sources for pair in _asset_columns(config, name, source)]
        for column, sources in table.lineage.items()
    }


def _asset_columns(config: DatasetConfig, table: str, column: str) -> list[tuple[str, str]]:
    """The assets behind a table's column: metrics are one asset a model, users' metrics are none of their own."""
    if table == METRICS_TABLE.path:
        return [(str(Node(Kind.METRICS, model)), column) for model in config.model_configs]
    if table == USER_METRICS_TABLE.path:
        return list(USER_METRICS_TABLE.lineage[column])
    return [(table, column)]
