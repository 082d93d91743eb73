"""Names of stored things, where they lie, and whether they are still current.

A node is an asset's name at one window. Nodes record the digests of the nodes they were made from, so currency is
decided by comparing contents: never by time stamps, never by "the newest file".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.storage.digests import code_digest, text_digest
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.storage.provenance import Provenance, require_current
from mrs_pipeline.tables import TABLES
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.knowledge import KNOWLEDGE
from mrs_pipeline.tables.metrics import METRICS
from mrs_pipeline.tables.user_metrics import USER_METRICS
from mrs_pipeline.tasks.files import files_digests
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.windows import window_keys

RAW_INTERACTIONS = "raw/interactions"
RAW_ITEMS = "raw/items"
CORE = ("core/users", "core/items", "core/interactions", "core/quarantine")
SPLITS = "core/splits"
USERS = "users"
"""Name of the graph of users, beside those of the feature sets (whose names begin with a modality)."""
LEADERBOARD = "eval/leaderboard"
REPORT = "eval/report"
_ARRAYS = ("features", "graphs", "pretrained", "raw_content", "trained")
"""First part of the names of nodes that are directories of arrays."""
KNOWLEDGE_GRAPH = "graphs/knowledge"
"""Kept as a table, `core.knowledge`, so that SQL can follow it; the other graphs are arrays."""


_RESULTS = {
    "recommendations": ("serving/recommendations", "model"),
    "metrics": ("eval/metrics", "model"),
    "experiments": ("eval/experiments", "experiment"),
    "quality": ("quality/feature_sets", "feature_set"),
}
"""First part of a node's name -> its table, and the partition key that the second part is the value of."""


def windows(config: DatasetConfig) -> list[str]:
    """All windows of a dataset up to the one that is open now."""
    return window_keys(config.window, datetime.now(UTC))


def expand(stage: Stage, task: Task, name: str) -> list[str]:
    """The nodes behind an input's name.

    Raw interactions mean those of every window up to the stage's own; to a task that stands above all windows
    (leaderboard, report) an input means every window of it that there is.
    """
    if not task.windowed and name not in (RAW_ITEMS, LEADERBOARD):
        return [f"{name}@{key}" for key in windows(stage.config) if exists(stage.at(key), name)]
    if name != RAW_INTERACTIONS:
        return [name]
    if not stage.config.windowed:
        return [f"{name}@{FULL_WINDOW}"]
    keys = windows(stage.config)
    if stage.window not in keys:
        raise InputError(
            f"{stage.config.name} has no window {stage.window}; its windows are {keys[0]} to {keys[-1]}."
        )
    return [f"{name}@{key}" for key in keys[: keys.index(stage.window) + 1]]


def node_of(stage: Stage, output: str) -> str:
    """The node of an output at the stage's window."""
    return f"{output}@{stage.window}" if output == RAW_INTERACTIONS else output


def table_of(stage: Stage, node: str) -> Table:
    """The lake's partition behind a node that is a table."""
    name, _, window = node.partition("@")
    schema, _, rest = name.partition("/")
    if name == RAW_ITEMS:
        return stage.table(schema, rest, window=FULL_WINDOW)
    if schema in ("raw", "core") or name == KNOWLEDGE_GRAPH:
        return stage.table("core" if name == KNOWLEDGE_GRAPH else schema, rest, window=window or stage.window)
    if schema in _RESULTS:
        path, key = _RESULTS[schema]
        folder, _, table = path.partition("/")
        return Table.of(
            folder, table, dataset=stage.config.name, window=window or stage.window, **{key: rest}
        )
    if name == LEADERBOARD:
        return Table.of(schema, rest, dataset=stage.config.name)
    raise KeyError(node)


def schema_of(output: str) -> TableSchema | None:
    """The schema of an output that is a table (features: of its SQL copy); None for graphs, weights, pages."""
    kind = output.partition("/")[0]
    if output == KNOWLEDGE_GRAPH:
        return KNOWLEDGE
    paths = {
        "features": "features",
        "quality": "quality/feature_sets",
        "metrics": "eval/metrics",
        "experiments": "eval/experiments",
        "recommendations": "serving/recommendations",
    }
    return TABLES.get(paths.get(kind, output))


def column_sources(config: DatasetConfig, output: str) -> dict[str, list[tuple[str, str]]]:
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
    if table == METRICS.path:
        return [(f"metrics/{model}", column) for model in config.model_configs]
    if table == USER_METRICS.path:
        return list(USER_METRICS.lineage[column])
    return [(table, column)]


def store_of(stage: Stage, node: str) -> tuple[ArtifactStore, tuple[str, ...]]:
    """The artifact store and keys behind a node that is a directory of arrays."""
    kind, _, name = node.partition("/")
    stores = {
        "features": stage.features,
        "graphs": stage.graphs,
        "pretrained": stage.pretrained,
        "raw_content": stage.raw_content,
        "trained": stage.models,
    }
    return stores[kind], (stage.config.name, stage.window, name)


def _is_directory(node: str) -> bool:
    """Whether a node is a directory of arrays, not a table."""
    return node.partition("/")[0] in _ARRAYS and node != KNOWLEDGE_GRAPH


def exists(stage: Stage, node: str) -> bool:
    """Whether the node has been materialised."""
    if _is_directory(node):
        store, keys = store_of(stage, node)
        return store.exists(*keys)
    return stage.lake.exists(table_of(stage, node))


def record(stage: Stage, node: str) -> tuple[str, Provenance]:
    """Digest and provenance of a materialised node; InputError names it where it is absent."""
    if _is_directory(node):
        store, keys = store_of(stage, node)
        artifact = store.read(*keys)
        return artifact.digest, artifact.provenance
    table = stage.lake.manifest(table_of(stage, node))
    return table.digest, table.provenance


def version(task: Task) -> str:
    """The code version of a task's outputs: source of its modules and the settings that decide the result."""
    return text_digest(code_digest(*task.code), task.settings)[:16]


def upstream(stage: Stage, task: Task) -> dict[str, str]:
    """Name -> digest of all that the task would read now; InputError says what has to be materialised first."""
    nodes = [node for name in task.inputs for node in expand(stage, task, name)]
    absent = [node for node in nodes if not exists(stage, node)]
    if absent:
        raise InputError(
            f"{task.name} of {stage.config.name} {stage.window} needs {_listed(absent)}, which "
            f"{'is' if len(absent) == 1 else 'are'} not materialised yet: run `mrs run {stage.config.name}`, or "
            f"materialise {'it' if len(absent) == 1 else 'them'} in the UI."
        )
    digests = {node: record(stage, node)[0] for node in nodes}
    for files in task.files:
        digests |= files_digests(stage, files)
    return digests


def refuse_stale(stage: Stage, task: Task, tasks: Mapping[str, Task]) -> None:
    """Refuse inputs made from something other than what lies there now; `tasks`: output -> the task that makes it."""
    for name in task.inputs:
        maker = tasks[name]
        if not maker.inputs:  # raw tables: their source may go on growing while the runs below them finish
            continue
        _, provenance = record(stage, name)
        require_current(
            f"{name} of {stage.config.name} {stage.window}",
            provenance,
            upstream(stage, maker),
            f"materialise {name} again, or run `mrs run {stage.config.name} --window {stage.window}`",
        )


def provenance_of(stage: Stage, task: Task) -> Provenance:
    """What the task's outputs made now would record."""
    return Provenance(version(task), upstream(stage, task))


def is_current(stage: Stage, task: Task) -> bool:
    """Whether every output exists and was made by this code and these settings from the inputs that lie there now."""
    nodes = [node_of(stage, name) for name in task.outputs]
    inputs = [node for name in task.inputs for node in expand(stage, task, name)]
    if not all(exists(stage, node) for node in [*nodes, *inputs]):
        return False
    now = provenance_of(stage, task)
    return all(record(stage, node)[1] == now for node in nodes)


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
