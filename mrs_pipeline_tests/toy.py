"""The toy market: a small catalogue in which the truth is planted, so that models can be seen to find it.

60 users and 40 items in four tastes. A user takes mostly items of the own taste, which also shows, with
noise, in the items' image and text vectors and in what a small knowledge graph says of them. Items 36..39 are
cold, users 58 and 59 too; a quarter of the items lacks an image, some lack a text. Everything is drawn from one
seed.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mrs_pipeline.experiment import configure, fit, prepare
from mrs_pipeline.models.base import BatchKind, ModelConfig, ModelInputs, Recommender
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.pretraining import configure_pretraining
from mrs_pipeline.types import FeatureMatrix, Interactions, KnowledgeGraph, TrainingData

N_USERS, N_ITEMS, N_TASTES = 60, 40, 4
COLD_ITEMS = np.arange(36, 40)
COLD_USERS = np.array([58, 59])


@dataclass(frozen=True)
class ToyMarket:
    """Training data, held-out test interactions and the planted tastes."""

    data: TrainingData
    test: Interactions
    user_taste: np.ndarray
    item_taste: np.ndarray


def interactions(pairs: np.ndarray, n_users: int = N_USERS, n_items: int = N_ITEMS) -> Interactions:
    """Distinct pairs [E, 2], sorted by user and item."""
    pairs = np.unique(np.asarray(pairs, dtype=np.int64).reshape(-1, 2), axis=0)
    return Interactions(pairs[:, 0].copy(), pairs[:, 1].copy(), n_users, n_items)


def toy_features(
    rng: np.random.Generator, taste: np.ndarray, names: tuple[str, ...]
) -> dict[str, FeatureMatrix]:
    """One matrix a modality: the taste's centre plus noise; some rows missing, never those of cold items."""
    features = {}
    for number, name in enumerate(names):
        width = 12 + 4 * number
        centres = rng.normal(size=(N_TASTES, width))
        values = centres[taste] + 0.4 * rng.normal(size=(len(taste), width))
        present = rng.random(len(taste)) > (0.25 if name == "image" else 0.1)
        present[COLD_ITEMS] = True
        values[~present] = 0.0
        features[name] = FeatureMatrix(values.astype(np.float32), present, name)
    return features


def toy_knowledge(taste: np.ndarray, seed: int) -> KnowledgeGraph:
    """Each item has a genre, nearly always that of its taste, and one of ten makers, who know no taste.

    A genre belongs to one of two families, so that not every triple starts at an item.
    """
    rng = np.random.default_rng(seed)
    n_items = len(taste)
    items, tastes = np.arange(n_items), np.arange(N_TASTES)
    genre = np.where(rng.random(n_items) < 0.9, taste, rng.integers(N_TASTES, size=n_items))
    genres, makers = n_items + tastes, n_items + N_TASTES + rng.integers(10, size=n_items)
    families = n_items + N_TASTES + 10 + tastes // 2
    return KnowledgeGraph(
        heads=np.concatenate([items, items, genres]),
        relations=np.repeat([0, 1, 2], [n_items, n_items, N_TASTES]),
        tails=np.concatenate([genres[genre], makers, families]),
        n_entities=n_items + N_TASTES + 10 + 2,
        n_relations=3,
        entity_names=tuple(f"entity {number}" for number in range(n_items + N_TASTES + 12)),
        relation_names=("genre", "maker", "family"),
    )


def toy_market(names: tuple[str, ...] = ("image", "text"), seed: int = 7) -> ToyMarket:
    """The market with the given modalities."""
    rng = np.random.default_rng(seed)
    user_taste, item_taste = np.arange(N_USERS) % N_TASTES, np.arange(N_ITEMS) % N_TASTES
    liking = np.where(user_taste[:, None] == item_taste[None, :], 0.85, 0.06)
    taken = rng.random((N_USERS, N_ITEMS)) < liking
    taken[COLD_USERS] = False
    part = rng.choice(3, size=taken.shape, p=[0.6, 0.2, 0.2])
    part[:, COLD_ITEMS] = 2
    train, valid, test = (interactions(np.argwhere(taken & (part == number))) for number in range(3))
    features = toy_features(rng, item_taste, names)
    data = TrainingData(train, valid, features, knowledge=toy_knowledge(item_taste, seed))
    return ToyMarket(data, test, user_taste, item_taste)


def small_config(name: str, **overrides: object) -> ModelConfig:
    """Settings for the toy market: narrow embeddings and large steps, where the model has such.

    A graph of users holds all of them: so few users share equally many items with many others, and which of these
    are kept would depend on how the users are numbered.
    """
    wanted = {"embedding_size": 16, "learning_rate": 0.03, "knn_k": 5, "user_k": N_USERS, **overrides}
    fields = model_class(name).Config.model_fields
    return configure(name, {key: value for key, value in wanted.items() if key in fields})


def small_pretraining(name: str, **overrides: object) -> PretrainingConfig:
    """Settings of a pretraining for the toy market: narrow, shallow, few epochs."""
    wanted = {
        **{"embedding_size": 16, "learning_rate": 0.01, "knn_k": 5, "epochs": 5, "batch_size": 64},
        **{"n_layers": 1, "hops": (8, 4), "n_contexts": 3},
        **overrides,
    }
    fields = PRETRAINERS[name].Config.model_fields
    return configure_pretraining(name, {key: value for key, value in wanted.items() if key in fields})


def prepared(name: str, data: TrainingData, **overrides: object) -> TrainingData:
    """The data with what the model needs beside them; a first step is made with small settings."""
    first_step = model_class(name).spec.pretraining
    settings = small_pretraining(first_step) if first_step else None
    return prepare(data, name, small_config(name, **overrides), pretraining=settings)


def build(
    name: str, data: TrainingData, seed: int = 1, **overrides: object
) -> tuple[Recommender, ModelInputs]:
    """An untrained model of the toy market; a model in closed form is solved."""
    config = small_config(name, **overrides)
    inputs = ModelInputs.from_data(prepared(name, data, **overrides))
    model = model_class(name)(config, inputs, torch.Generator().manual_seed(seed))
    if model.spec.batches is BatchKind.NONE:
        model.fit_closed_form()
    return model, inputs


def trained(
    name: str, data: TrainingData, seed: int = 1, epochs: int = 5, **overrides: object
) -> Recommender:
    """A model after some epochs on the toy market."""
    options = TrainingOptions(epochs=epochs, batch_size=64, patience=1000)
    data = prepared(name, data, **overrides)
    return fit(data, name, small_config(name, **overrides), seed=seed, training=options).model
