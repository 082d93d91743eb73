"""Trained models in the store: loaded with their data, their weights, their training history."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import epochs_of, load
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.reporting.inputs import VALID_TERM
from mrs_pipeline.stored.intact import intact_artifact
from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import store_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.types import FloatArray, TrainingData


def load_trained(
    stage: Stage, name: str, seed: int, data: TrainingData, *, final: bool = False
) -> AnyRecommender:
    """The trained model of one seed, on the device that is in use; InputError where it was trained with others.

    Args:
        stage: dataset and window.
        name: of the model.
        seed: of its training.
        data: what it was trained on.
        final: the model of all history, not the one that was chosen on validation.
    """
    directory = trained_directory(stage, Node(Kind.FINAL if final else Kind.TRAINED, name), seed)
    return load(directory, data, device=resolve_device(stage.config.training_of(name)))


def chosen_epochs(stage: Stage, name: str, seed: int) -> int:
    """The epochs that validation chose for one seed of a trained model."""
    return epochs_of(trained_directory(stage, Node(Kind.TRAINED, name), seed))


def trained_directory(stage: Stage, node: Node, seed: int) -> Path:
    """Where one seed of a trained or final model is stored, intact; InputError where that seed was not trained."""
    directory = intact_artifact(stage, node).directory / f"seed={seed}"
    if not directory.is_dir():
        raise InputError(f"{node} of {stage.config.name} {stage.window} has no seed {seed}; train it again.")
    return directory


def stored_weights(stage: Stage, node: Node) -> Iterator[tuple[str, FloatArray]]:
    """Name and values of each stored tensor of a trained or final model, seed by seed."""
    from safetensors.numpy import load_file

    store, keys = store_of(stage, node)
    directory = store.read(*keys).directory
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
