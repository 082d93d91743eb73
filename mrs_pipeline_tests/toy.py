"""The toy market: a small catalogue in which the truth is planted, so that models can be seen to find it.

60 users and 40 items in four tastes. A user takes mostly items of the own taste, which also shows, with
noise, in the items' image and text vectors, in tiny pictures and texts, in one of their regions and words, and in what
a small knowledge graph says of them; the order of events says nothing. Items 36..39 are cold, users 58 and 59 too; a
quarter of the items lacks an image, some lack a text. Everything is drawn from one seed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mrs_pipeline.fitting import configure, fit, prepare
from mrs_pipeline.models.base import Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.base import PretrainingConfig
from mrs_pipeline.models.pretraining.registry import PRETRAINERS
from mrs_pipeline.models.registry import model_class
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.training.pretraining import configure_pretraining
from mrs_pipeline.types import (
    FeatureMatrix,
    Interactions,
    KnowledgeGraph,
    RawContent,
    TokenMatrix,
    TrainingData,
)

N_USERS, N_ITEMS, N_TASTES = 60, 40, 4
COLD_ITEMS = np.arange(36, 40)
PAIRWISE = ("factors", "teacher", "promptmm", "mcptr")
"""Pretrainings that learn from training pairs, and give vectors of users too."""
COLD_USERS = np.array([58, 59])
FIRST_MOMENT = 1_600_000_000


@dataclass(frozen=True)
class ToyMarket:
    """Training data, held-out test interactions and the planted tastes."""

    data: TrainingData
    test: Interactions
    user_taste: np.ndarray
    item_taste: np.ndarray


def interactions(
    pairs: np.ndarray, n_users: int = N_USERS, n_items: int = N_ITEMS, times: np.ndarray | None = None
) -> Interactions:
    """Distinct pairs [E, 2], sorted by user, time where `times` [U, I] says when, and item."""
    pairs = np.unique(np.asarray(pairs, dtype=np.int64).reshape(-1, 2), axis=0)
    if times is None:
        return Interactions(pairs[:, 0].copy(), pairs[:, 1].copy(), n_users, n_items)
    moments = times[pairs[:, 0], pairs[:, 1]]
    order = np.lexsort((pairs[:, 1], moments, pairs[:, 0]))
    users, items = pairs[order].T.copy()
    return Interactions(users, items, n_users, n_items, moments[order])


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


def toy_raw(taste: np.ndarray, names: tuple[str, ...], seed: int) -> dict[str, RawContent]:
    """Pictures of 8 x 8 pixels and texts of up to 6 tokens in which the taste shows: as a colour, as a choice of words.

    Rows that are missing hold garbage.
    """
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (N_TASTES, 3, 1, 1))
    noise = rng.normal(scale=60, size=(len(taste), 3, 8, 8))
    pictures = np.clip(colours[taste] + noise, 0, 255).astype(np.uint8)
    own, any_word = (
        rng.integers(0, 8, (len(taste), 6)) + 8 * taste[:, None],
        rng.integers(0, 48, (len(taste), 6)),
    )
    texts = np.where(rng.random(own.shape) < 0.5, own, any_word).astype(np.int32)
    texts[np.arange(6) >= rng.integers(3, 7, (len(taste), 1))] = -1
    content = {"image": (pictures, 0), "text": (texts, 48)}
    raw = {}
    for name in [name for name in names if name in content]:
        values, vocabulary = content[name]
        present = rng.random(len(taste)) > 0.15
        present[COLD_ITEMS] = True
        values[~present] = 7
        raw[name] = RawContent(values, present, name, vocabulary)
    return raw


def toy_tokens(taste: np.ndarray, names: tuple[str, ...], seed: int) -> dict[str, TokenMatrix]:
    """Four tokens of six numbers, of which one shows the taste; images have a grid, other modalities fewer tokens.

    Rows that are missing hold garbage.
    """
    rng = np.random.default_rng(seed)
    tokens = {}
    for name in names:
        values = rng.normal(size=(len(taste), 4, 6))
        place = rng.integers(0, 2, len(taste))
        centres = 3 * rng.normal(size=(N_TASTES, 6))
        values[np.arange(len(taste)), place] += centres[taste]
        grid = (2, 2) if name == "image" else None
        if grid is None:
            values[np.arange(4) >= rng.integers(2, 5, (len(taste), 1))] = 0
        present = rng.random(len(taste)) > 0.15
        present[COLD_ITEMS] = True
        values[~present] = 7
        tokens[name] = TokenMatrix(values.astype(np.float16), present, name, grid)
    return tokens


def toy_market(names: tuple[str, ...] = ("image", "text"), seed: int = 7) -> ToyMarket:
    """The market with the given modalities."""
    rng = np.random.default_rng(seed)
    user_taste, item_taste = np.arange(N_USERS) % N_TASTES, np.arange(N_ITEMS) % N_TASTES
    liking = np.where(user_taste[:, None] == item_taste[None, :], 0.85, 0.06)
    taken = rng.random((N_USERS, N_ITEMS)) < liking
    taken[COLD_USERS] = False
    part = rng.choice(3, size=taken.shape, p=[0.6, 0.2, 0.2])
    part[:, COLD_ITEMS] = 2
    # a generator of its own, so that tastes and features are what they would be without times
    lots = np.random.default_rng(seed + 1).permutation(N_USERS * N_ITEMS).reshape(N_USERS, N_ITEMS)
    train, valid, test = (
        interactions(np.argwhere(taken & (part == number)), times=FIRST_MOMENT + 3600 * lots)
        for number in range(3)
    )
    features = toy_features(rng, item_taste, names)
    data = TrainingData(
        train,
        valid,
        features,
        knowledge=toy_knowledge(item_taste, seed),
        raw=toy_raw(item_taste, names, seed + 2),
        tokens=toy_tokens(item_taste, names, seed + 3),
    )
    return ToyMarket(data, test, user_taste, item_taste)


def small_config(name: str, **overrides: object) -> ModelConfig:
    """Settings for the toy market: narrow embeddings and large steps, where the model has such.

    A graph of users holds all of them: so few users share equally many items with many others, and which of these
    are kept would depend on how the users are numbered.
    """
    wanted = {
        "embedding_size": 16,
        "learning_rate": 0.03,
        "encoder_learning_rate": 0.01,
        "encoder_width": 32,
        "knn_k": 5,
        "n_neighbours": 5,
        "user_k": N_USERS,
        "max_length": 12,
        **overrides,
    }
    fields = model_class(name).Config.model_fields
    return configure(name, {key: value for key, value in wanted.items() if key in fields})


def small_pretraining(name: str, **overrides: object) -> PretrainingConfig:
    """Settings of a pretraining for the toy market: narrow, shallow, few epochs."""
    of_pairs = {"epochs": 15, "learning_rate": 0.05} if name in PAIRWISE else {}
    of_pairs |= {"settings": {"knn_k": 5}} if name == "teacher" else {}
    wanted = {
        **{"embedding_size": 16, "learning_rate": 0.01, "walk_k": 5, "epochs": 5, "batch_size": 64},
        **of_pairs,
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


def first_batch(model: Recommender, inputs: ModelInputs, size: int = 512) -> Any:
    """The batch of the first training step."""
    model.train()
    model.start_epoch()
    return next(batch_source(model, inputs, size).epoch(model.generator))


def trained(
    name: str, data: TrainingData, seed: int = 1, epochs: int = 5, **overrides: object
) -> Recommender:
    """A model after some epochs on the toy market."""
    options = TrainingOptions(epochs=epochs, batch_size=64, patience=1000)
    data = prepared(name, data, **overrides)
    return fit(data, name, small_config(name, **overrides), seed=seed, training=options).model
