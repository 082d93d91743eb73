"""Trained models in the store: loaded with their data, their weights, their training history."""

from collections.abc import Iterator

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import load
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.reporting.inputs import VALID_TERM
from mrs_pipeline.stored.intact import intact_artifact
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FloatArray, TrainingData


def load_trained(stage: Stage, name: str, seed: int, data: TrainingData) -> AnyRecommender:
    """The trained model of one seed; InputError where it was trained with others."""
    directory = intact_artifact(stage, Node(Kind.TRAINED, name)).directory / f"seed={seed}"
    if not directory.is_dir():
        raise InputError(
            f"trained/{name} of {stage.config.name} {stage.window} has no seed {seed}; train it again."
        )
    return load(directory, data)


def stored_weights(stage: Stage, name: str) -> Iterator[tuple[str, FloatArray]]:
    """Name and values of each stored tensor of a trained model, seed by seed."""
    from safetensors.numpy import load_file

    directory = stage.models.read(stage.config.name, stage.window, name).directory
    for path in sorted(directory.glob("seed=*/*.safetensors")):
        for tensor, values in load_file(path).items():
            yield f"{path.parent.name}/{tensor}", values


def long_history(history: pl.DataFrame) -> pl.DataFrame:
    """`models.history` rows as the report draws them: seconds beside every loss term and validation score."""
    keys = [name for name in ("dataset", "window", "model", "seed", "epoch") if name in history.columns]
    seconds = history.filter(pl.col("measure") == "seconds").select(*keys, seconds="value")
    measure = pl.col("measure")
    terms = history.filter(measure.str.starts_with("loss/") | (measure == "validation_score")).with_columns(
        term=pl.when(measure == "validation_score")
        .then(pl.lit(VALID_TERM))
        .otherwise(measure.str.strip_prefix("loss/"))
    )
    return terms.join(seconds, on=keys, how="left").drop("measure")
