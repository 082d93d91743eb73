"""The first of two steps as a stage: item vectors made once a window, shared by all models that start from them.

What is learnt is `models.pretraining`, how, `training.pretraining`; the second step is a model like any other.
"""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.diagnostics import MAX_MEAN_COSINE, MIN_EFFECTIVE_RANK, FeatureSummary, summarise
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.reporting.drawing import png
from mrs_pipeline.reporting.plots import pretraining_curve
from mrs_pipeline.stored.training_data import filling_of, sources_of, training_data
from mrs_pipeline.stored.vectors import read_vectors, write_vectors
from mrs_pipeline.tasks.nodes import provenance_of
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.pretraining import Pretrained, pretrain
from mrs_pipeline.types import FeatureMatrix


def pretrain_items(stage: Stage, task: Task) -> Sequence[Outcome]:
    """Make the item vectors of one pretraining and publish them."""
    name = task.name.partition("/")[2]
    settings = stage.config.pretraining_configs[name]
    keys = (stage.config.name, stage.window, name)
    data = training_data(stage, PRETRAINERS[name].spec)
    made = pretrain(data, name, settings, device=resolve_device(stage.config.training))
    with stage.pretrained.writing(
        *keys, provenance=provenance_of(stage, task), facts={"epochs": len(made.history)}
    ) as directory:
        write_vectors(directory, made.matrices)
    return [Outcome(task.outputs[0], stage.pretrained.read(*keys).digest, _facts(made))]


def check_vectors(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Finite numbers, and vectors that still tell items apart."""
    name = task.name.partition("/")[2]
    finite, spread = pretraining_specs(name)
    vectors = read_vectors(stage, name)
    broken = [key for key, matrix in vectors.items() if not np.isfinite(matrix.values).all()]
    summaries = {
        key: summarise(matrix.values, matrix.present) for key, matrix in vectors.items() if key not in broken
    }
    collapsed = [f"{key}: {why}" for key, summary in summaries.items() for why in _collapse(summary)]
    facts = {"vectors": _as_frame(vectors, summaries)}
    return [
        CheckOutcome(
            finite.name,
            finite.output,
            not broken,
            finite.blocking,
            f"not finite: {', '.join(broken)}" if broken else finite.description,
        ),
        CheckOutcome(
            spread.name,
            spread.output,
            not collapsed,
            spread.blocking,
            "; ".join(collapsed) or spread.description,
            facts,
        ),
    ]


def pretraining_specs(name: str) -> tuple[CheckSpec, ...]:
    """Blocking where vectors are wrong, warning where they are of little use."""
    return (
        CheckSpec("finite", f"pretrained/{name}", "All item vectors are finite numbers."),
        CheckSpec(
            "not_collapsed",
            f"pretrained/{name}",
            "Item vectors point in different directions and span more than a line.",
            blocking=False,
        ),
    )


def _collapse(summary: FeatureSummary) -> list[str]:
    """How the vectors fail to tell items apart, a clause each."""
    if summary.present < 2:
        return ["fewer than two items have a vector"]
    looked_at = (
        (
            summary.effective_rank < MIN_EFFECTIVE_RANK,
            f"the vectors span {summary.effective_rank:.1f} directions",
        ),
        (summary.mean_cosine > MAX_MEAN_COSINE, f"mean cosine {summary.mean_cosine:.3f} of any two items"),
    )
    return [clause for collapsed, clause in looked_at if collapsed]


def _as_frame(vectors: dict[str, FeatureMatrix], summaries: dict[str, FeatureSummary]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "vectors": key,
                "items": summary.present,
                "dimensions": vectors[key].values.shape[1],
                "effective rank": round(summary.effective_rank, 2),
                "mean cosine": round(summary.mean_cosine, 4),
                "mean length": round(summary.norm_mean, 4),
            }
            for key, summary in summaries.items()
        ]
    )


def _facts(made: Pretrained) -> dict[str, object]:
    last = made.history[made.best_epoch - 1]
    facts: dict[str, object] = {
        "vectors": sorted(made.matrices),
        "items": {key: int(matrix.present.sum()) for key, matrix in made.matrices.items()},
        "dimensions": next(iter(made.matrices.values())).values.shape[1],
        "epochs": len(made.history),
        "best epoch": made.best_epoch,
        "seconds": round(made.seconds, 2),
        "settings": made.config.model_dump(mode="json"),
        **{f"loss {term}": round(value, 5) for term, value in last.losses.items()},
    }
    if last.held_out is not None:
        facts["held-out loss"] = round(last.held_out, 5)
    if len(made.history) > 1:
        facts["loss curve"] = png(pretraining_curve(_history(made), made.best_epoch))
    return facts


def _history(made: Pretrained) -> pl.DataFrame:
    """One row an epoch and curve: epoch, curve, value."""
    rows = [
        (record.epoch, curve, value)
        for record in made.history
        for curve, value in (*record.losses.items(), ("held out", record.held_out))
        if value is not None
    ]
    return pl.DataFrame(
        rows, schema={"epoch": pl.Int64, "curve": pl.String, "value": pl.Float64}, orient="row"
    )


def pretraining_task(config: DatasetConfig, name: str, settings: PretrainingConfig) -> Task:
    """The task that makes the item vectors `name`; inputs derive from the pretrainer's spec."""
    pretrainer = PRETRAINERS[name]
    spec = pretrainer.spec
    filling = filling_of(config, spec)
    return Task(
        name=f"pretrained/{name}",
        outputs=(f"pretrained/{name}",),
        inputs=sources_of(config, spec),
        run=pretrain_items,
        code=(
            pretrainer.__module__.removeprefix("mrs_pipeline."),
            *("models.pretraining.base", "models.base", "models.blocks", "functional"),
            "training.pretraining",
            *spec.code,
            *(("encoders.missing", "encoders.completion") if filling else ()),
        ),
        settings=json.dumps([settings.model_dump(mode="json"), filling], sort_keys=True),
        group="pretraining",
        description=f"Item vectors of {spec.title} ({spec.paper}), learnt from what may be seen. {spec.url}",
        kinds=("pytorch",),
        pool="gpu",
        check_specs=pretraining_specs(name),
        check=check_vectors,
        keep=True,
    )
