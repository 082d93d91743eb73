"""A market of any size for `mrs bench gpu`, drawn from one seed, with all that any model may need."""

import numpy as np

from mrs_pipeline.types import (
    FeatureMatrix,
    Interactions,
    KnowledgeGraph,
    RawContent,
    TokenMatrix,
    TrainingData,
)

_TASTES = 16
_VOCABULARY = 64
_FIRST_MOMENT = 1_600_000_000


def market(n_users: int, n_items: int, per_user: int, width: int = 64, *, raw: bool = False) -> TrainingData:
    """About `per_user` training rows a user, one in ten of them held out; items of the own taste are taken more often.

    Args:
        n_users: U.
        n_items: I.
        per_user: rows drawn for a user; repeated ones count once.
        width: of the features.
        raw: whether there are small pictures and texts, and regions and words, for models that read these.
    """
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(n_users), per_user)
    own = rng.integers(0, max(1, n_items // _TASTES), len(users)) * _TASTES + users % _TASTES
    items = np.where(rng.random(len(users)) < 0.8, own, rng.integers(0, n_items, len(users))) % n_items
    keys = np.unique(users * n_items + items)
    held_out = rng.random(len(keys)) < 0.1
    train, valid = (_rows(keys[mask], n_users, n_items, rng) for mask in (~held_out, held_out))
    taste = np.arange(n_items) % _TASTES
    features = {name: _features(rng, taste, width, name) for name in ("image", "text")}
    return TrainingData(
        train,
        valid,
        features,
        knowledge=_knowledge(taste),
        raw=_raw(rng, taste) if raw else {},
        tokens={name: _tokens(rng, taste, name) for name in ("image", "text")} if raw else {},
    )


def _rows(keys: np.ndarray, n_users: int, n_items: int, rng: np.random.Generator) -> Interactions:
    times = _FIRST_MOMENT + rng.permutation(len(keys))
    users, items = keys // n_items, keys % n_items
    order = np.lexsort((items, times, users))
    return Interactions(users[order], items[order], n_users, n_items, times[order])


def _features(rng: np.random.Generator, taste: np.ndarray, width: int, name: str) -> FeatureMatrix:
    values = rng.normal(size=(_TASTES, width))[taste] + 0.5 * rng.normal(size=(len(taste), width))
    present = rng.random(len(taste)) > 0.1
    values[~present] = 0
    return FeatureMatrix(values.astype(np.float32), present, name)


def _tokens(rng: np.random.Generator, taste: np.ndarray, name: str) -> TokenMatrix:
    values = rng.normal(size=(len(taste), 9, 16))
    values[:, 4] += rng.normal(size=(_TASTES, 16))[taste]
    return TokenMatrix(values.astype(np.float16), rng.random(len(taste)) > 0.1, name)


def _knowledge(taste: np.ndarray) -> KnowledgeGraph:
    items = np.arange(len(taste))
    return KnowledgeGraph(items, np.zeros_like(items), len(items) + taste, len(items) + _TASTES, 1)


def _raw(rng: np.random.Generator, taste: np.ndarray) -> dict[str, RawContent]:
    pictures = rng.integers(0, 256, (len(taste), 3, 16, 16)).astype(np.uint8)
    texts = (rng.integers(0, _VOCABULARY // _TASTES, (len(taste), 8)) * _TASTES + taste[:, None]).astype(
        np.int32
    )
    present = rng.random(len(taste)) > 0.1
    return {
        "image": RawContent(pictures, present, "image"),
        "text": RawContent(texts, present, "text", _VOCABULARY),
    }
