"""Train: one model at one window, once a seed, and what lies in the store afterwards.

How a model is fitted is `fitting`, what it is given, `stored.training_data`.
"""

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

import polars as pl

from mrs_pipeline.fitting import Fitted, fit, history_table, run_facts, save
from mrs_pipeline.models.base import FeatureUse
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.reporting.drawing import png
from mrs_pipeline.reporting.plots import training_curves
from mrs_pipeline.stored.trained import long_history
from mrs_pipeline.stored.training_data import seeds_of, training_data
from mrs_pipeline.tasks.nodes import provenance_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task


def train_model(stage: Stage, task: Task) -> Sequence[Outcome]:
    """Fit the model once a seed, choosing the epoch on validation; goes on from its checkpoint after a kill."""
    name = task.name.partition("/")[2]
    config = stage.config.model_configs[name]
    data = training_data(stage, MODELS[name].spec)
    keys = (stage.config.name, stage.window, name)
    provenance = provenance_of(stage, task)
    checkpoints = _checkpoints(stage, name)
    runs: list[Fitted] = []
    with stage.models.writing(
        *keys, provenance=provenance, facts={"seeds": list(seeds_of(stage.config, name))}
    ) as directory:
        for seed in seeds_of(stage.config, name):
            fitted = fit(
                data,
                name,
                config,
                seed=seed,
                training=stage.config.training_of(name),
                evaluation=stage.config.evaluation,
                checkpoints=checkpoints / f"seed={seed}",
            )
            folder = directory / f"seed={seed}"
            folder.mkdir()
            save(fitted, folder)
            runs.append(fitted)
        facts = [run_facts(fitted) | {"device": str(fitted.model.device)} for fitted in runs]
        history = pl.concat(
            [
                history_table(each.result).with_columns(pl.lit(each.seed, pl.Int64).alias("seed"))
                for each in runs
            ]
        )
        # before the weights are published: where these lie, all of the training does
        stage.lake.write_frame(
            stage.table("models", "runs", model=name), _runs(stage, name, facts), provenance
        )
        stage.lake.write_frame(stage.table("models", "history", model=name), history, provenance)
    rmtree(checkpoints, ignore_errors=True)  # absent where the model needs no checkpoint
    return [
        Outcome(task.outputs[0], stage.models.read(*keys).digest, _training_facts(stage, name, runs, history))
    ]


def popularity_score(stage: Stage) -> float:
    """What recommending the most popular items scores on validation: the floor of every model."""
    data = training_data(stage, MODELS["most_pop"].spec)
    return fit(data, "most_pop", evaluation=stage.config.evaluation).result.best_score


def _checkpoints(stage: Stage, name: str) -> Path:
    return stage.home.models / stage.config.name / stage.window / name / "resume"


def _runs(stage: Stage, name: str, facts: list[dict[str, str | int | float]]) -> pl.DataFrame:
    spec = MODELS[name].spec
    modalities = sorted(stage.config.model_features) if spec.features is not FeatureUse.IGNORED else []
    if spec.raw is not FeatureUse.IGNORED:
        modalities = sorted({*modalities, *stage.config.raw_modalities})
    return (
        pl.DataFrame(facts)
        .drop("model")
        .with_columns(
            pl.Series("cells", [sorted(str(cell) for cell in spec.cells)] * len(facts)),
            pl.Series("modalities", [modalities] * len(facts), dtype=pl.List(pl.String)),
            pl.lit(stage.config.evaluation.select_on).alias("select_on"),
        )
    )


def _training_facts(stage: Stage, name: str, runs: list[Fitted], history: pl.DataFrame) -> dict[str, object]:
    results = [each.result for each in runs]
    facts: dict[str, object] = {
        "epochs": [len(result.history) for result in results],
        "best epoch": [result.best_epoch for result in results],
        f"validation {stage.config.evaluation.select_on}": [
            round(result.best_score, 5) for result in results
        ],
        "seconds": round(sum(result.seconds for result in results), 2),
        "peak memory MB": round(max(result.peak_memory_mb for result in results)),
        "settings": runs[0].model.config.model_dump(mode="json"),
    }
    if history["epoch"].n_unique() > 1:
        facts["training curve"] = _curve(stage, name, runs, history)
    return facts


def _curve(stage: Stage, name: str, runs: list[Fitted], history: pl.DataFrame) -> bytes:
    """The training curves as PNG."""
    keys = {"dataset": stage.config.name, "window": stage.window, "model": name}
    rows = long_history(history).with_columns(pl.lit(value).alias(key) for key, value in keys.items())
    best = pl.DataFrame([{**keys, "seed": each.seed, "best_epoch": each.result.best_epoch} for each in runs])
    return png(training_curves(rows, best, [name]))
