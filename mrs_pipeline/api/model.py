"""A fitted model with the ids it knows: training it, saving it, loading it again without its data."""

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from mrs_pipeline import fitting
from mrs_pipeline.api.arrays import read_data, write_data
from mrs_pipeline.api.dataset import Dataset
from mrs_pipeline.api.ids import Ids
from mrs_pipeline.documents import DocumentError, json_file
from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.history import with_whole_history
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline.training.devices import resolve_device
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.types import TrainingData

_FACTS, _USERS, _ITEMS = "model.json", "users.parquet", "items.parquet"
_FORMAT = 1


@dataclass(frozen=True, repr=False, eq=False)
class FittedModel:
    """A trained model and all that it needs to recommend: ids, training and validation rows, features it reads.

    Attributes:
        recommender: the torch module, with the weights of its best epoch.
        users: whom it was trained on.
        items: the catalogue.
        data: what it was built on; no test row is among it.
        seed: of its training.
        history: epoch, measure, value, of the training that chose the epoch; empty for a model that was loaded.
        refitted: whether it was trained again on training and validation rows together.
    """

    recommender: AnyRecommender
    users: Ids
    items: Ids
    data: TrainingData
    seed: int
    history: pl.DataFrame
    refitted: bool = False

    @property
    def name(self) -> str:
        """As in the list of models."""
        return self.recommender.spec.name

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the model."""
        settings: dict[str, Any] = self.recommender.config.model_dump(mode="json")
        return settings

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes everything that `load` needs: weights, ids, the rows and features that it was built on.

        Safetensors, Parquet and JSON; the folder appears when it is complete. It holds who took what: keep it as safe
        as the interactions themselves.

        Raises:
            InputError: the folder exists already and `overwrite` is not set.
        """
        target = Path(folder)
        if target.exists() and not overwrite:
            raise InputError(f"{target} exists already; name another folder, or pass overwrite=True")
        target.parent.mkdir(parents=True, exist_ok=True)
        work = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        work.mkdir()
        try:
            fitting.save_model(self.recommender, self.seed, work)
            write_data(self.data, work)
            self.users.values.to_frame().write_parquet(work / _USERS)
            self.items.values.to_frame().write_parquet(work / _ITEMS)
            facts = {
                "format": _FORMAT,
                "model": self.name,
                "package": MODELS.distribution(self.name),
                "refitted": self.refitted,
            }
            (work / _FACTS).write_text(json.dumps(facts, indent=2) + "\n")
            if target.exists():
                shutil.rmtree(target)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return target

    def __repr__(self) -> str:
        return f"FittedModel({self.name}, {len(self.users)} users, {len(self.items)} items, seed {self.seed})"


def fit(
    dataset: Dataset,
    model: str,
    *,
    seed: int = 1,
    training: TrainingOptions | Mapping[str, Any] | None = None,
    select_on: str = "recall@20",
    refit: bool = False,
    checkpoints: str | Path | None = None,
    pretraining: Mapping[str, Any] | None = None,
    **settings: Any,
) -> FittedModel:
    """Trains a model on the training rows and chooses its epoch on the validation rows.

    Args:
        dataset: split, and with features where the model needs them.
        model: a name of `mrs models`.
        seed: same data, settings, seed and threads give the same weights, bit by bit on a CPU.
        training: epochs, batch_size, patience, device and the like, as `training:` in a defs.yaml.
        select_on: validation metric that chooses the epoch.
        refit: train once more, on training and validation rows together, for the epochs that were chosen: what is to
            recommend should know the latest rows too. Item vectors of a first step stay as they are.
        checkpoints: folder of the run's state; a run that was interrupted goes on from there.
        pretraining: settings of the first of two steps, where the model is the second.
        settings: of the model, in place of its defaults.

    Raises:
        InputError: the dataset lacks what the model needs, or a setting does not fit.
        NonFiniteLossError: training diverged.
    """
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"fit takes a Dataset, not {type(dataset).__name__}; make one with Dataset.of(interactions)"
        )
    spec = model_class(model).spec
    if spec.knowledge or FeatureUse.REQUIRED in (spec.raw, spec.tokens):
        media = "decoded media" if spec.raw is FeatureUse.REQUIRED else "regions or words"
        needs = "a knowledge graph" if spec.knowledge else media
        raise InputError(
            f"model '{model}' needs {needs}, which a Dataset does not hold; describe the data in a defs.yaml"
        )
    config = fitting.configure(model, settings)
    options = (
        training
        if isinstance(training, TrainingOptions)
        else _options(TrainingOptions, training or {}, "training")
    )
    evaluation = _options(EvaluationOptions, {"select_on": select_on}, "fit")
    data = dataset.training_data()
    if spec.features is FeatureUse.IGNORED:
        data = replace(data, features={})
    device, state = resolve_device(options), Path(checkpoints) if checkpoints else None
    data = fitting.prepare(data, model, config, device=device, pretraining=pretraining)
    fitted = fitting.fit(
        data, model, config, seed=seed, training=options, evaluation=evaluation, checkpoints=state
    )
    history = fitting.history_table(fitted.result)
    if refit:
        data = fitting.prepare(with_whole_history(data), model, config, device=device)
        epochs, state = fitted.result.best_epoch, state / "refit" if state else None
        fitted = fitting.refit(
            data, model, config, epochs=epochs, seed=seed, training=options, checkpoints=state
        )
    return FittedModel(fitted.model, dataset.users, dataset.items, data, seed, history, refit)


def load(folder: str | Path, *, device: str = "cpu") -> FittedModel:
    """The model that `FittedModel.save` wrote; no other data are needed.

    Raises:
        InputError: the folder holds no model, is incomplete, or its model is of a package that is not installed.
    """
    root = Path(folder)
    facts = _facts(root)
    if facts["model"] not in MODELS:
        raise InputError(
            f"{root} holds the model '{facts['model']}' of the package {facts['package']}, which is not installed; "
            f"install it with `pip install {facts['package']}`"
        )
    users, items = (_ids(root / name) for name in (_USERS, _ITEMS))
    data = read_data(root, len(users), len(items))
    recommender = fitting.load(root, data, device=device)
    seed = json_file(root / "config.json")["seed"]
    history = pl.DataFrame(schema={"epoch": pl.Int64, "measure": pl.String, "value": pl.Float64})
    return FittedModel(recommender, users, items, data, seed, history, bool(facts.get("refitted", False)))


def _facts(root: Path) -> dict[str, Any]:
    path = root / _FACTS
    try:
        facts = json_file(path)
    except FileNotFoundError:
        raise InputError(
            f"{root} holds no saved model ({_FACTS} is not there); name the folder given to save"
        ) from None
    except DocumentError as error:
        raise error.of(path, "save the model again") from error
    if facts.get("format") != _FORMAT or not {"model", "package"} <= facts.keys():
        raise InputError(f"{path} is of another version of this package; save the model again with this one")
    return facts


def _ids(path: Path) -> Ids:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path} is missing or damaged ({str(error).splitlines()[0]}); save the model again"
        ) from error
    return Ids(frame.columns[0], frame.to_series())


def _options(kind: Any, given: Mapping[str, Any], what: str) -> Any:
    from pydantic import ValidationError

    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{what}, {place}: {first['msg'].removeprefix('Value error, ')}") from error
