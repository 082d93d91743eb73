"""What a lower precision of encoders gains and costs: items a second, cosine to float32, recall of models.

All precisions of an encoder are measured in one run on the same decoded content. Recall is that of validation rows.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final, get_args

import numpy as np
import polars as pl

from mrs_pipeline.bench.extraction import decoded
from mrs_pipeline.encoders.engine import extract
from mrs_pipeline.encoders.options import NetworkOptions, feature_set_name
from mrs_pipeline.encoders.registry import open_encoder
from mrs_pipeline.encoders.settings import EngineSettings
from mrs_pipeline.fitting import fit
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.schema import ITEM
from mrs_pipeline.stored.features import features_in
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.files import engine_settings
from mrs_pipeline.tasks.node import SPLITS
from mrs_pipeline.tasks.places import exists
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FeatureMatrix, FloatArray

_REFERENCE: Final = "float32"
_LOWER: Final = ("bfloat16", "int8")
RECALL_MODELS: Final = ("vbpr", "mgcn")
"""A model of content without a graph, and one that builds its graphs from it."""
_SEED: Final = 1
_REPEATS: Final = 3


@dataclass(frozen=True)
class PrecisionBench:
    """One encoder in one precision.

    Attributes:
        name: of the feature set.
        precision: of the forward pass.
        items: items with content.
        per_second: items by second of the bare forward pass, best of three.
        cosine_mean: to the vectors of float32, mean over items.
        cosine_min: the smallest.
    """

    name: str
    precision: str
    items: int
    per_second: float
    cosine_mean: float
    cosine_min: float


def precisions_of(options: NetworkOptions) -> tuple[str, ...]:
    """float32, then the lower ones that the encoder and this installation have."""
    able = get_args(type(options).model_fields["precision"].annotation)
    installed = find_spec("onnx") is not None and find_spec("onnxruntime") is not None
    return (_REFERENCE, *(name for name in _LOWER if name in able and (name != "int8" or installed)))


def bench_precisions(
    options: NetworkOptions, items: pl.DataFrame, media_root: Path, settings: EngineSettings | None = None
) -> list[PrecisionBench]:
    """An encoder in each of its precisions on the same items, float32 first; all their payloads are held in memory.

    Args:
        options: one entry of `features:`; its precision is not looked at.
        items: a catalogue of some hundred items, as `extract` takes it.
        media_root: folder of the media.
        settings: processes, chunks and device.
    """
    settings = settings or EngineSettings()
    rows: list[PrecisionBench] = []
    reference: FloatArray | None = None
    for precision in precisions_of(options):
        chosen = options.model_copy(update={"precision": precision, "normalize": True})
        encoder = open_encoder(chosen, media_root, settings)
        payloads = encoder.arrange(decoded(encoder, items, settings))
        batches = encoder.batches(payloads)
        encoder.encode([payloads[position] for position in batches[0]])  # loads weights, and quantises
        vectors = np.zeros((len(payloads), encoder.dimensions), dtype=np.float32)
        seconds = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            for positions in batches:
                vectors[positions] = encoder.encode([payloads[position] for position in positions])
            seconds.append(time.perf_counter() - started)
        reference = vectors if reference is None else reference
        cosine = (vectors * reference).sum(axis=1)
        rows.append(
            PrecisionBench(
                name=feature_set_name(options),
                precision=precision,
                items=len(payloads),
                per_second=len(payloads) / min(seconds),
                cosine_mean=float(cosine.mean()),
                cosine_min=float(cosine.min()),
            )
        )
    return rows


def can_measure_recall(stage: Stage) -> bool:
    """Whether the dataset has been run at the stage's window, so that there are rows to train and validate on."""
    return exists(stage, SPLITS)


def recall_by_precision(
    stage: Stage, encoders: Sequence[NetworkOptions], models: Sequence[str] = RECALL_MODELS
) -> Iterator[tuple[str, str, int, float]]:
    """(model, precision, items with a vector, best validation score), all encoders in one precision at a time."""
    items = stage.lake.read(stage.table("core", "items")).sort(ITEM)
    everywhere = [
        name for name in (_REFERENCE, *_LOWER) if any(name in precisions_of(each) for each in encoders)
    ]
    with tempfile.TemporaryDirectory() as folder:
        for precision in everywhere:
            features = _features(stage, encoders, precision, items, Path(folder) / precision)
            present = int(np.logical_or.reduce([each.present for each in features.values()]).sum())
            for model in models:
                yield model, precision, present, _best_score(stage, model, features)


def _features(
    stage: Stage, encoders: Sequence[NetworkOptions], precision: str, items: pl.DataFrame, folder: Path
) -> Mapping[str, FeatureMatrix]:
    """Modality -> vectors in that precision, or in float32 where an encoder does not have it."""
    found = {}
    for options in encoders:
        able = precision if precision in precisions_of(options) else _REFERENCE
        chosen = options.model_copy(update={"precision": able})
        into = folder / str(options.modality)
        extract(chosen, items, source_of(stage).root, into, settings=engine_settings(stage))
        found[str(options.modality)] = features_in(into, feature_set_name(options))
    return found


def _best_score(stage: Stage, model: str, features: Mapping[str, FeatureMatrix]) -> float:
    config = stage.config
    needs = MODELS["most_pop"].spec  # rows alone: vectors and graphs are those of the precision
    data = replace(training_data(stage, needs), features=dict(features))
    fitted = fit(
        data,
        model,
        config.settings_of(model),
        seed=_SEED,
        training=config.training_of(model).model_copy(update={"checkpoint_every": 0}),
        evaluation=config.evaluation,
    )
    return float(fitted.result.best_score)
