"""Train: one model at one window, once a seed, and what lies in the store afterwards.

How a model is fitted is `fitting`, what it is given, `stored.training_data`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import polars as pl

from mrs_pipeline.cluster import spread_calls
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.fitting import fit, history_table, run_facts, save
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.earlier import starts_of
from mrs_pipeline.stored.trained import long_history
from mrs_pipeline.stored.training_data import seeds_of, training_data
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.warm_start import CarriedOver, WarmStart
from mrs_pipeline.types import TrainingData


@dataclass(frozen=True)
class _Recipe:
    """A model and how it is trained."""

    name: str
    config: ModelConfig
    training: TrainingOptions
    evaluation: EvaluationOptions
    start: WarmStart | None


def train_model(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Fit the model once a seed, choosing the epoch on validation; goes on from its checkpoint after a kill."""
    name = task.subject
    config = stage.config.model_configs[name]
    data = training_data(stage, MODELS[name].spec)
    begins = starts_of(stage, task, data)
    keys = (stage.config.name, stage.window, name)
    checkpoints = _checkpoints(stage, name)
    seeds = seeds_of(stage.config, name)
    with stage.models.writing(*keys, provenance=provenance, facts={"seeds": list(seeds)}) as directory:
        training = stage.config.training_of(name)
        work = [
            (
                data,
                _Recipe(name, config, training, stage.config.evaluation, begins.of(seed)),
                seed,
                checkpoints / f"seed={seed}",
                directory / f"seed={seed}",
            )
            for seed in seeds
        ]
        gpus = 1.0 if resolve_device(training).type == "cuda" else 0.0
        runs = list(spread_calls(_train_seed, work, gpus=gpus))
        facts = [each for each, _, _ in runs]
        history = pl.concat(each for _, each, _ in runs)
        # before the weights are published: where these lie, all of the training does
        stage.lake.write_frame(
            stage.table("models", "runs", model=name), _runs(stage, name, facts), provenance
        )
        stage.lake.write_frame(stage.table("models", "history", model=name), history, provenance)
    rmtree(checkpoints, ignore_errors=True)  # absent where the model needs no checkpoint
    digest = stage.models.read(*keys).digest
    return [Outcome(task.outputs[0], digest, begins.facts([carried for _, _, carried in runs]))]


def _train_seed(
    data: TrainingData, recipe: _Recipe, seed: int, checkpoints: Path, folder: Path
) -> tuple[dict[str, str | int | float | None], pl.DataFrame, CarriedOver | None]:
    """Fits one seed and saves it in a folder; its facts, its history, what it began from.

    Repeated, it goes on from its checkpoint.
    """
    fitted = fit(
        data,
        recipe.name,
        recipe.config,
        seed=seed,
        training=recipe.training,
        evaluation=recipe.evaluation,
        checkpoints=checkpoints,
        start=recipe.start,
    )
    rmtree(folder, ignore_errors=True)  # what a machine left that was lost while it saved
    folder.mkdir()
    save(fitted, folder)
    history = history_table(fitted.result).with_columns(pl.lit(seed, pl.Int64).alias("seed"))
    return run_facts(fitted) | {"device": str(fitted.model.device)}, history, fitted.carried


def popularity_score(stage: Stage) -> float:
    """What recommending the most popular items scores on validation: the simplest baseline."""
    data = training_data(stage, MODELS["most_pop"].spec)
    return fit(data, "most_pop", evaluation=stage.config.evaluation).result.best_score


def _checkpoints(stage: Stage, name: str) -> Path:
    return stage.home.models / stage.config.name / stage.window / name / "resume"


def _runs(stage: Stage, name: str, facts: list[dict[str, str | int | float | None]]) -> pl.DataFrame:
    spec = MODELS[name].spec
    modalities = sorted(stage.config.model_features) if spec.features is not FeatureUse.IGNORED else []
    if spec.raw is not FeatureUse.IGNORED:
        modalities = sorted({*modalities, *stage.config.raw_modalities})
    if spec.tokens is not FeatureUse.IGNORED:
        modalities = sorted({*modalities, *stage.config.model_tokens})
    return (
        pl.DataFrame(facts)
        .drop("model")
        .with_columns(
            pl.col("energy_joules").cast(pl.Float64),
            pl.Series("cells", [sorted(str(cell) for cell in spec.cells)] * len(facts)),
            pl.Series("modalities", [modalities] * len(facts), dtype=pl.List(pl.String)),
            pl.lit(stage.config.evaluation.select_on).alias("select_on"),
        )
    )


def _kilojoules(joules: pl.Series) -> float | str:
    """Energy of all seeds together, or that it cannot be read."""
    return "not readable" if joules.has_nulls() else round(float(joules.sum()) / 1e3, 2)


def show_training(stage: Stage, task: Task) -> dict[str, object]:
    """How the training went, for people: epochs, scores, cost, settings, curves."""
    from mrs_pipeline.reporting.drawing import png
    from mrs_pipeline.reporting.plots import training_curves

    name = task.subject
    runs = stage.lake.read(stage.table("models", "runs", model=name))
    history = stage.lake.read(stage.table("models", "history", model=name))
    facts: dict[str, object] = {
        "epochs": runs["epochs"].to_list(),
        "best epoch": runs["best_epoch"].to_list(),
        f"validation {stage.config.evaluation.select_on}": runs["best_score"].round(5).to_list(),
        "seconds": round(float(runs["seconds"].sum()), 2),
        "memory above data, peak MB": round(float(runs["peak_memory_mb"].max())),  # type: ignore[arg-type]
        "energy, kJ": _kilojoules(runs["energy_joules"]),
        "settings": json.loads(runs["config"][0]),
    }
    if history["epoch"].n_unique() > 1:
        keys = {"dataset": stage.config.name, "window": stage.window, "model": name}
        named = [pl.lit(value).alias(key) for key, value in keys.items()]
        rows = long_history(history).with_columns(*named)
        best = runs.select("seed", "best_epoch").with_columns(*named)
        facts["training curve"] = png(training_curves(rows, best, [name]))
    return facts
