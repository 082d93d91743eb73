"""Is a feature set any good? Its signal, its baseline and its page, once there are interactions to hold it against.

What the numbers mean is `encoders.diagnostics`; how the page looks, `reporting.html`; how vectors are made, `features`.
Training and validation rows only: the window's own events are not looked at.
"""

from collections.abc import Sequence

import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.diagnostics import SignalTest, signal_test
from mrs_pipeline.fitting import fit
from mrs_pipeline.metrics.registry import metric_roots
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.schema import TRAIN, VALID
from mrs_pipeline.stages.checks.features import check_quality, quality_specs
from mrs_pipeline.stages.feature_page import write_feature_page
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.features import read_features, summary_of
from mrs_pipeline.stored.training_data import interactions
from mrs_pipeline.tables.columns import polars_type
from mrs_pipeline.tables.feature_sets import FEATURE_SETS
from mrs_pipeline.tasks.node import CORE_ITEMS, CORE_USERS, SPLITS, Kind, Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.types import TrainingData


def measure_features(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Signal test and content-only ItemKNN of one feature set, as a row and a page."""
    from mrs_pipeline.reporting.drawing import png
    from mrs_pipeline.reporting.plots import signal as draw_signal

    name = task.subject
    features = read_features(stage, name)
    data = TrainingData(
        interactions(stage, TRAIN),
        interactions(stage, VALID),
        {stage.config.feature(name).modality: features},
    )
    signal = signal_test(features.values, features.present, data.train)
    summary = summary_of(stage, name)
    row = {**summary.to_row(), **_signal_row(signal), **_scores(stage, data)}
    table = pl.DataFrame([{column: row[column] for column in FEATURE_SETS.columns}], schema=_SCHEMA)
    table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    manifest = stage.lake.write_frame(table_of(stage, task.outputs[0]), table, provenance)
    told = table.row(0, named=True)
    facts: dict[str, object] = {"page": write_feature_page(stage, features, told, signal, provenance), **told}
    if signal.shuffled:
        facts["signal"] = png(draw_signal(signal.shuffled, signal.observed))
    return [Outcome(task.outputs[0], manifest.digest, facts, manifest.columns)]


_SCHEMA = {name: polars_type(column.type) for name, column in FEATURE_SETS.columns.items()}


def _signal_row(signal: SignalTest) -> dict[str, float]:
    return {
        "signal_z": signal.z,
        "signal_cosine": signal.observed,
        "shuffled_cosine": signal.shuffled_mean,
        "pairs": signal.pairs,
    }


def _scores(stage: Stage, data: TrainingData) -> dict[str, str | float]:
    """Validation scores of the content alone and of popularity."""
    training, evaluation = stage.config.training, stage.config.evaluation
    content = fit(data, "item_knn", {"source": "content"}, training=training, evaluation=evaluation)
    popular = fit(data, "most_pop", training=training, evaluation=evaluation)
    return {
        "metric": evaluation.select_on,
        "baseline": content.result.best_score,
        "popularity": popular.result.best_score,
    }


def quality_task(config: DatasetConfig, name: str) -> Task:
    """The task that measures the feature set `name`."""
    options = config.feature(name)
    return Task(
        outputs=(Node(Kind.QUALITY, name),),
        inputs=(Node(Kind.FEATURES, name), CORE_USERS, CORE_ITEMS, SPLITS),
        run=measure_features,
        uses=(
            model_class("item_knn"),
            model_class("most_pop"),
            *metric_roots([config.evaluation.select_metric]),
        ),
        settings={"select_on": config.evaluation.select_on},
        group="features",
        description=f"What {name} is worth before any model is trained: signal against chance, recall of its "
        "nearest neighbours alone, and a page.",
        tags=(f"modality/{options.modality}",),
        kinds=("html",),
        pool="gpu",
        check_specs=quality_specs(name),
        check=check_quality,
    )
