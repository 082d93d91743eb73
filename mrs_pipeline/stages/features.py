"""Feature sets and item graphs of a window: extraction into the store, a SQL copy in the lake, nearest neighbours.

How content becomes vectors is `encoders`; what a good feature set looks like, `encoders.diagnostics` and `tables`.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.code import closure
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.deciding import deciding
from mrs_pipeline.encoders.base import ReadyMatrix
from mrs_pipeline.encoders.diagnostics import FeatureSummary, summarise_features
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.identity import IdentityOptions
from mrs_pipeline.encoders.options import EncoderOptions, feature_set_name
from mrs_pipeline.encoders.registry import encoder_roots
from mrs_pipeline.encoders.report import ExtractionReport
from mrs_pipeline.encoders.store import PreviousExtraction
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.stages.checks.features import check_features, feature_specs
from mrs_pipeline.stages.extraction_facts import extraction_facts
from mrs_pipeline.storage.artifacts import JSON
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.features import DRIFT, PACE, features_in, previous_extraction, read_features
from mrs_pipeline.stored.graphs import write_graph
from mrs_pipeline.tasks.files import engine_settings, pretrained_part
from mrs_pipeline.tasks.node import CORE_ITEMS, External, Files, Kind, Node
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.types import FeatureMatrix


def extract_features(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Encode what has changed of one modality and publish matrix, mask and SQL table."""
    name = task.subject
    options = stage.config.feature(name)
    items = stage.lake.read(stage.table("core", "items"))
    source = source_of(stage)
    previous = previous_extraction(stage, stage.features, name)
    facts: dict[str, JSON] = {}
    keys = (stage.config.name, stage.window, name)
    with stage.features.writing(*keys, provenance=provenance, facts=facts, resume=True) as directory:
        report = extract(
            options,
            items,
            source.root,
            directory,
            previous=previous,
            matrix=_ready_matrix(stage, options) if isinstance(options, IdentityOptions) else None,
            settings=engine_settings(stage).model_copy(update={"code": row_code(options)}),
            progress=True,
        )
        facts |= {"dimensions": report.dimensions, "dtype": report.dtype, "fingerprint": report.fingerprint}
        facts |= report.made_with
        summary = _summary(features_in(directory, name), previous)  # whose files go when these are published
        facts |= {key: getattr(summary, key) for key in DRIFT}
        facts[PACE] = report.items_per_second if report.encoded else _former_pace(stage, name)
    artifact = stage.features.read(*keys)
    features = read_features(stage, name)
    stage.lake.write_frame(stage.table("features", name), _vectors(items, features), provenance)
    failures = stage.table("quality", "failed_media", feature_set=name)
    stage.lake.write_frame(failures, report.failures(), provenance)
    return [Outcome(task.outputs[0], artifact.digest, _facts(report, summary))]


def _former_pace(stage: Stage, name: str) -> JSON:
    """What was found when rows were last encoded; None where nothing is known of it."""
    keys = (stage.config.name, stage.window, name)
    return stage.features.read(*keys).facts.get(PACE) if stage.features.exists(*keys) else None


def build_graph(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The kNN item graph of one feature set."""
    name = task.subject
    device = resolve_device(stage.config.training)
    graph = knn_graph(read_features(stage, name), stage.config.item_graph_k, device=device)
    digest = write_graph(
        stage, task.outputs[0], provenance, graph, {"item_graph_k": stage.config.item_graph_k}
    )
    connected = int((np.diff(graph.indptr) > 0).sum())
    facts = {
        "items": graph.shape[0],
        "items with neighbours": connected,
        "edges": len(graph.indices),
        "mean cosine": float(graph.weights.mean()) if len(graph.weights) else 0.0,
    }
    return [Outcome(task.outputs[0], digest, facts)]


def row_code(options: EncoderOptions) -> str:
    """Digest of the code that decides a row: rows of other code are encoded again."""
    return closure("mrs_pipeline.encoders.engine:extract_with", *encoder_roots(options)).digest


def _summary(features: FeatureMatrix, previous: PreviousExtraction | None) -> FeatureSummary:
    before = (
        None
        if previous is None
        else FeatureMatrix(previous.values, previous.rows["present"].to_numpy(), features.name)
    )
    return summarise_features(features.values, features.present, before)


def _ready_matrix(stage: Stage, options: IdentityOptions) -> ReadyMatrix:
    with stage.lake.connect() as con:
        matrix = source_of(stage).read_matrix(con, options.matrix)
    return ReadyMatrix(matrix.name, matrix.values, matrix.item_ids)


def _vectors(items: pl.DataFrame, features: FeatureMatrix) -> pl.DataFrame:
    """The feature set as the table that SQL sees; a missing item's vector is NULL."""
    values = np.asarray(features.values, dtype=np.float32)
    vectors = pl.Series(values, dtype=pl.Array(pl.Float32, values.shape[1])).cast(pl.List(pl.Float32))
    present = pl.Series(features.present)
    return items.select("item", "item_id").with_columns(
        present=present, vector=pl.when(present).then(vectors)
    )


def _facts(report: ExtractionReport, summary: FeatureSummary) -> dict[str, object]:
    own = {
        "dimensions": report.dimensions,
        "items per second": round(report.items_per_second, 1),
        "MB read": round(report.bytes_read / 1e6, 2),
    }
    return extraction_facts(report, own) | {
        f"feature {name}": value for name, value in summary.to_row().items()
    }


def feature_task(config: DatasetConfig, name: str) -> Task:
    """The task that makes the feature set `name`."""
    options = config.feature(name)
    return Task(
        outputs=(Node(Kind.FEATURES, name),),
        inputs=(CORE_ITEMS,),
        files=encoder_files(options),
        run=extract_features,
        uses=(READERS.reference(config.source.reader), *encoder_roots(options)),
        settings={"encoder": deciding(options)},
        group="features",
        description=f"Item vectors: {options.modality} by {options.encoder}. Row i is item i; missing is masked.",
        tags=(f"modality/{options.modality}", f"encoder/{options.encoder}"),
        kinds=(str(options.modality),),
        pool="gpu",
        check_specs=feature_specs(name),
        check=check_features,
    )


def encoder_files(options: EncoderOptions) -> tuple[External, ...]:
    """What the encoder reads outside the stores; texts lie in `core.items`."""
    if isinstance(options, IdentityOptions):
        return (External(Files.MATRIX, options.matrix),)
    media = () if options.modality == "text" else (External(Files.MEDIA, options.modality),)
    return (*media, External(Files.WEIGHTS, feature_set_name(options))) if pretrained_part(options) else media


def graph_task(config: DatasetConfig, name: str) -> Task:
    """The task that makes the item graph of the feature set `name`."""
    return Task(
        outputs=(Node(Kind.GRAPHS, name),),
        inputs=(Node(Kind.FEATURES, name),),
        run=build_graph,
        settings={"item_graph_k": config.item_graph_k},
        group="features",
        description=f"The {config.item_graph_k} nearest items by cosine of {name}, built in blocks.",
        tags=(f"modality/{config.feature(name).modality}",),
        kinds=("graph",),
        pool="gpu",
    )
