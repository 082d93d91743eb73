"""A model told to an MLflow server: settings, metrics, training curves and the card, as one run of an experiment.

Needs `pip install 'mrs-pipeline[mlflow]'`. The experiment is called after the dataset. A model is known by the digest
of its weights, so that telling of it twice makes one run.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.serving.exporting import CARD, card_text, model_card
from mrs_pipeline.tasks.task import Stage

if TYPE_CHECKING:
    from mlflow import MlflowClient

_WEIGHTS: Final = "mrs.weights"
_LOCAL_STORE: Final = "MLFLOW_ALLOW_FILE_STORE"
_MOST: Final = {"metrics": 1000, "params": 100}
"""What MLflow takes in one request."""
_LONGEST: Final = 500
"""Characters of a parameter that MLflow keeps."""


def track(stage: Stage, model: str, address: str) -> tuple[str, bool]:
    """Tell MLflow of a model.

    Args:
        stage: dataset and window.
        model: a model that has been made there.
        address: of the tracking server, `http://host:5000`, or of a folder, `file:///path`.

    Returns:
        The run's id, and whether it is new.

    Raises:
        InputError: MLflow is not installed, or the address cannot be used.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError("MLflow is not installed: pip install 'mrs-pipeline[mlflow]'") from error
    if address.startswith("file:"):
        os.environ.setdefault(_LOCAL_STORE, "true")  # it is asked for by name
    card = model_card(stage, model)
    try:
        return _told(MlflowClient(address), stage, model, card)
    except MlflowException as error:
        raise InputError(
            f"MLflow at {address}: {' '.join(str(error).split())[:200]}; correct --to"
        ) from error


def _told(client: "MlflowClient", stage: Stage, model: str, card: Mapping[str, Any]) -> tuple[str, bool]:
    name, digest = stage.config.name, card["weights"]["digest"]
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    known = client.search_runs(
        [experiment], f"tags.`{_WEIGHTS}` = '{digest}' and tags.`mrs.model` = '{model}'"
    )
    if known:
        return str(known[0].info.run_id), False
    tags = {_WEIGHTS: digest, "mrs.model": model, "mrs.dataset": name, "mrs.window": stage.window}
    run = str(client.create_run(experiment, tags=tags, run_name=f"{model} {stage.window}").info.run_id)
    _log(client, run, card, _history(stage, model))
    client.log_text(run, json.dumps(card, indent=2), CARD)
    client.log_text(run, card_text(card), "card.md")
    client.set_terminated(run)
    return run, True


def _log(client: "MlflowClient", run: str, card: Mapping[str, Any], curves: Sequence[Any]) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(name, value[:_LONGEST]) for name, value in _flat(card["settings"])]
    measured = [
        Metric(f"{each['slice']}/{_named(each['metric'])}", float(each["value"]), 0, 0)
        for each in card["measured"]["metrics"]
        if each["value"] is not None
    ]
    told = [*measured, *(Metric(*point) for point in curves)]
    for place in range(0, len(params), _MOST["params"]):
        client.log_batch(run, params=params[place : place + _MOST["params"]])
    for place in range(0, len(told), _MOST["metrics"]):
        client.log_batch(run, metrics=told[place : place + _MOST["metrics"]])


def _history(stage: Stage, model: str) -> list[tuple[str, float, int, int]]:
    """(name, value, time, epoch) of every finite measure of every epoch of every seed."""
    table = stage.table("models", "history", model=model)
    if not stage.lake.exists(table):
        return []
    rows = stage.lake.read(table).select("seed", "measure", "value", "epoch").drop_nulls()
    finite = rows.filter(rows["value"].is_finite()).sort("seed", "measure", "epoch")
    return [
        (f"seed {seed}/{_named(measure)}", float(value), 0, int(epoch))
        for seed, measure, value, epoch in finite.iter_rows()
    ]


def _named(metric: str) -> str:
    """MLflow takes no `@` in a name."""
    return metric.replace("@", " at ")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
