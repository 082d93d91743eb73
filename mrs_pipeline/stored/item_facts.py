"""What metrics may know of the items at one window: features and an attribute, as they are stored.

They are the dataset's own, whatever a model reads, so that all models are measured in one space.
"""

import numpy as np

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.metrics.base import Need
from mrs_pipeline.metrics.evidence import Attribute, Grouped, ItemFacts
from mrs_pipeline.metrics.registry import metrics_of
from mrs_pipeline.storage.sql import identifier
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import Stage


def item_facts(stage: Stage) -> ItemFacts:
    """The features and the attribute that the dataset's metrics need; nothing else is read."""
    needs = _needs(stage.config.evaluation)
    chosen = stage.config.first_features if Need.FEATURES in needs else {}
    return ItemFacts(
        features={modality: read_features(stage, name) for modality, name in chosen.items()},
        attribute=_attribute(stage) if Need.ATTRIBUTE in needs else None,
    )


def facts_inputs(config: DatasetConfig) -> tuple[Node, ...]:
    """The features that `item_facts` reads; the catalogue is read by every model."""
    if Need.FEATURES not in _needs(config.evaluation):
        return ()
    return tuple(Node(Kind.FEATURES, name) for name in config.first_features.values())


def _needs(options: EvaluationOptions) -> set[Need]:
    return {need for metric in metrics_of(options.metrics) for need in metric.needs}


def _attribute(stage: Stage) -> Attribute | None:
    options = stage.config.evaluation
    if options.attribute is None:
        return None
    table = stage.table("core", "items")
    manifest = stage.lake.manifest(table)
    if options.attribute not in manifest.columns:
        raise InputError(
            f"evaluation.attribute: {stage.config.name} has no column '{options.attribute}' of the items; it has "
            f"{', '.join(manifest.columns)}"
        )
    with stage.lake.connect() as con:
        rows = con.execute(
            "SELECT item, dense_rank() OVER (ORDER BY value) - 1 AS value FROM (SELECT DISTINCT item, trim(value) AS "
            f"value FROM (SELECT item, unnest(string_split({identifier(options.attribute)}::VARCHAR, ?)) AS value "
            f"FROM {stage.lake.scan(table)}) WHERE trim(value) <> '') ORDER BY item, value",
            [options.attribute_separator],
        ).fetchnumpy()
    items, values = (np.asarray(rows[name], np.int64) for name in ("item", "value"))
    return Attribute(
        options.attribute,
        Grouped.of_pairs(items, values, manifest.rows),
        int(values.max()) + 1 if len(values) else 0,
    )
