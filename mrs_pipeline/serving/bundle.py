"""All that answers need of one model at one window, loaded once and never changed: what is swapped as a whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch

from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.evaluation.history import together
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.retrieval.index import ItemIndex
from mrs_pipeline.schema import MODEL, WINDOW
from mrs_pipeline.serving.shelf import Shelf
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.stored.indexes import read_index
from mrs_pipeline.stored.results import read_leaderboard
from mrs_pipeline.stored.trained import load_trained
from mrs_pipeline.stored.training_data import training_data
from mrs_pipeline.tasks.node import CORE_ITEMS, Kind, Node
from mrs_pipeline.tasks.places import exists, record, table_of, windows
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import BoolArray, FeatureMatrix, FloatArray, IntArray, TrainingData


@dataclass(frozen=True, eq=False)
class Bundle:
    """One model, ready to answer.

    Attributes:
        stage: dataset and window.
        version: digest of the model's weights.
        model: with its weights, knowing the whole history.
        data: what it was trained on.
        shelf: the catalogue.
        users: id -> dense number.
        histories: what each user took, oldest first.
        index: of the item vectors; None where scores are no products.
        content: modality -> unit rows [I, F] and who has one, for similar items.
    """

    stage: Stage
    version: str
    model: AnyRecommender
    data: TrainingData
    shelf: Shelf
    users: Mapping[str, int]
    histories: OrderedHistories
    index: ItemIndex | None
    content: Mapping[str, FeatureMatrix]

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.spec.name

    @cached_property
    def known_users(self) -> BoolArray:
        """[U] users that the model was trained on."""
        return self.data.users_trained

    @cached_property
    def rankable(self) -> BoolArray:
        """[I] items of which the model knows anything."""
        return self.model.rankable.cpu().numpy()

    @cached_property
    def popularity(self) -> FloatArray:
        """[I] users of each item in the history."""
        # np.unique keeps the interpreter to itself all the while, and requests wait while another model is loaded
        pairs = np.sort(self.data.train.users * len(self.shelf) + self.data.train.items)
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        return np.bincount(pairs % len(self.shelf), minlength=len(self.shelf)).astype(np.float32)

    @cached_property
    def user_vectors(self) -> FloatArray | None:
        """[U, D]; None where scores are no products."""
        if not self.model.factorises():
            return None
        with torch.no_grad():
            return self.model.representations()[0].cpu().numpy().astype(np.float32)

    @cached_property
    def item_vectors(self) -> FloatArray:
        """[I, D] of a model whose scores are products."""
        with torch.no_grad():
            return self.model.representations()[1].cpu().numpy().astype(np.float32)

    @cached_property
    def unit_item_vectors(self) -> FloatArray:
        """[I, D] of length one, for items like one."""
        lengths = np.linalg.norm(self.item_vectors, axis=1, keepdims=True)
        rows: FloatArray = self.item_vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return rows

    @cached_property
    def fold(self) -> Callable[[OrderedHistories], torch.Tensor] | None:
        """Histories to vectors where scores are products, else to scores; None where the model cannot."""
        if not self.model.folds_in():
            return None
        with torch.no_grad():
            return self.model.history_vectors()[0] if self.products else self.model.history_scorer()

    @property
    def products(self) -> bool:
        """Whether the scores of users and of histories are inner products."""
        return self.model.factorises()

    @cached_property
    def scorer(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Users to scores of all items."""
        with torch.no_grad():
            return self.model.scorer()

    def history_of(self, user: int) -> IntArray:
        """[n] what a user took, oldest first."""
        start, end = self.histories.starts[user : user + 2].tolist()
        found: IntArray = self.histories.tokens[start + 1 : end].numpy()
        return found


def load_bundle(stage: Stage, name: str) -> Bundle:
    """Load what `mrs run` has made of a model.

    Raises:
        InputError: something has not been made, or is damaged.
    """
    refit = stage.config.serving.refit
    made = Node(Kind.FINAL if refit else Kind.TRAINED, name)
    version = record(stage, made)[0]
    data = training_data(stage, MODELS[name].spec, whole=refit)
    model = load_trained(stage, name, stage.config.seeds[0], data, final=refit)
    if data.valid.times is not None and len(data.valid):
        model.observe(data.valid)  # for good: a user's list goes on from all that is known
    history = together(data.train, data.valid)
    names: pl.DataFrame = stage.lake.read(stage.table("core", "users"))
    index = None
    if model.factorises() and exists(stage, Node(Kind.INDEX, name)):
        index = read_index(stage, name)
    if index is not None and not _is_of(index, model):
        index = None  # made of earlier vectors: until it is made again, all products are computed
    bundle = Bundle(
        stage=stage,
        version=version,
        model=model,
        data=data,
        shelf=Shelf(stage.lake.read(table_of(stage, CORE_ITEMS)), source_of(stage).root),
        users={str(user_id): int(number) for user_id, number in names.select("user_id", "user").iter_rows()},
        histories=OrderedHistories.of(history),
        index=index,
        content={
            str(modality): _unit(read_features(stage, sets[0]))
            for modality, sets in stage.config.model_features.items()
        },
    )
    for part in ("user_vectors", "fold", "popularity", "rankable", "known_users"):
        getattr(bundle, part)  # before the first request, not in it
    return bundle


def _is_of(index: ItemIndex, model: AnyRecommender) -> bool:
    """Whether an index holds the vectors of a model."""
    with torch.no_grad():
        vectors = model.representations()[1].cpu().numpy()
    if not len(index.items) or index.items[-1] >= len(vectors):
        return False
    return index.vectors.shape[1] == vectors.shape[1] and np.allclose(
        index.vectors, vectors[index.items], atol=1e-5
    )


def leading_model(stage: Stage) -> str:
    """The window's best model on the leaderboard among those of which there is a final one.

    Raises:
        InputError: there is no leaderboard of the window, or no final model on it.
    """
    board = read_leaderboard(stage.lake, stage.config.name, [stage.window])
    kind = Kind.FINAL if stage.config.serving.refit else Kind.TRAINED
    for row in (
        board.filter(pl.col("rank").is_not_null() & (pl.col(WINDOW) == stage.window)).sort("rank").to_dicts()
    ):
        if exists(stage, Node(kind, row[MODEL])):
            return str(row[MODEL])
    raise InputError(
        f"{stage.config.name} has no model to serve at window {stage.window}: `mrs run {stage.config.name} --window "
        f"{stage.window}` makes one, or name one with --model."
    )


def serving_window(stage: Stage, window: str | None) -> Stage:
    """The stage at a window, or at the last one of which there are lists.

    Raises:
        InputError: there is none.
    """
    kind = Kind.FINAL if stage.config.serving.refit else Kind.TRAINED
    found = [
        key
        for key in windows(stage.config)
        if any(exists(stage.at(key), Node(kind, name)) for name in stage.config.model_configs)
    ]
    if not found:
        raise InputError(
            f"{stage.config.name} has no trained model: run `mrs run {stage.config.name}` first."
        )
    if window is not None and window not in found:
        raise InputError(
            f"{stage.config.name} has no model at window {window}{did_you_mean(window, found)}; "
            f"there are {', '.join(found)}."
        )
    return stage.at(window or found[-1])


def _unit(features: FeatureMatrix) -> FeatureMatrix:
    values = np.asarray(features.values, dtype=np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    rows = values / np.maximum(lengths, np.finfo(np.float32).tiny)
    rows[~features.present] = 0
    return FeatureMatrix(rows, features.present, features.name)
