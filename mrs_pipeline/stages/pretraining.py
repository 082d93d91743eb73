"""The first of two steps as a stage: item vectors made once a window, shared by all models that start from them.

What is learnt is `models.pretraining`, how, `training.pretraining`; the second step is a model like any other.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.diagnostics import (
    MAX_MEAN_COSINE,
    MIN_EFFECTIVE_RANK,
    FeatureSummary,
    summarise_features,
)
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.storage.artifacts import JSON
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.training_data import filling_of, joining_of, sources_of, training_data
from mrs_pipeline.stored.vectors import read_vectors, write_vectors
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Outcome, Stage, Task
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.pretraining import Pretrained, pretrain
from mrs_pipeline.types import FeatureMatrix


def pretrain_items(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Make the item vectors of one pretraining and publish them."""
    name = task.subject
    settings = stage.config.pretraining_configs[name]
    keys = (stage.config.name, stage.window, name)
    data = training_data(stage, PRETRAINERS[name].spec)
    made = pretrain(data, name, settings, device=resolve_device(stage.config.training))
    with stage.pretrained.writing(
        *keys, provenance=provenance, facts={"best_epoch": made.best_epoch, "history": _history(made)}
    ) as directory:
        write_vectors(directory, made.matrices)
    return [Outcome(task.outputs[0], stage.pretrained.read(*keys).digest, _facts(made))]


def check_vectors(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """Finite numbers, and vectors that still tell items apart."""
    name = task.subject
    finite, spread = pretraining_specs(name)
    vectors = read_vectors(stage, name)
    broken = [key for key, matrix in vectors.items() if not np.isfinite(matrix.values).all()]
    summaries = {
        key: summarise_features(matrix.values, matrix.present)
        for key, matrix in vectors.items()
        if key not in broken
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
        CheckSpec("finite", Node(Kind.PRETRAINED, name), "All item vectors are finite numbers."),
        CheckSpec(
            "not_collapsed",
            Node(Kind.PRETRAINED, name),
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
    return facts


def _history(made: Pretrained) -> list[JSON]:
    """One entry an epoch and curve: epoch, curve, value."""
    return [
        [record.epoch, curve, value]
        for record in made.history
        for curve, value in (*record.losses.items(), ("held out", record.held_out))
        if value is not None
    ]


def show_pretraining(stage: Stage, task: Task) -> dict[str, object]:
    """The curve of the losses, where there is more than one epoch."""
    from mrs_pipeline.reporting.drawing import png
    from mrs_pipeline.reporting.plots import pretraining_curve

    facts = stage.pretrained.read(stage.config.name, stage.window, task.subject).facts
    schema = {"epoch": pl.Int64, "curve": pl.String, "value": pl.Float64}
    history = pl.DataFrame(facts["history"], schema=schema, orient="row")  # type: ignore[arg-type]
    if history["epoch"].n_unique() < 2:
        return {}
    return {"loss curve": png(pretraining_curve(history, int(facts["best_epoch"])))}  # type: ignore[arg-type]


def pretraining_task(config: DatasetConfig, name: str, settings: PretrainingConfig) -> Task:
    """The task that makes the item vectors `name`; inputs derive from the pretrainer's spec."""
    pretrainer = PRETRAINERS[name]
    spec = pretrainer.spec
    filling = filling_of(config, spec)
    return Task(
        outputs=(Node(Kind.PRETRAINED, name),),
        inputs=sources_of(config, spec),
        run=pretrain_items,
        uses=(pretrainer, *(MODELS[other] for other in settings.wrapped())),
        show=show_pretraining,
        settings={
            "pretraining": settings.model_dump(mode="json"),
            "missing rows": filling,
            **joining_of(config, spec),
        },
        group="pretraining",
        description=f"Item vectors of {spec.title} ({spec.paper}), learnt from what may be seen. {spec.url}",
        kinds=("pytorch",),
        pool="gpu",
        check_specs=pretraining_specs(name),
        check=check_vectors,
        keep=True,
    )
