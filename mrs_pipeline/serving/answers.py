"""Lists: for a user of training, for a history, and of items like one. Nothing is stored, nothing is learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.retrieval.index import ItemIndex, best_places
from mrs_pipeline.schema import RANKED_BY_HISTORY, RANKED_BY_MODEL, RANKED_BY_POPULARITY
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.newcomers import Newcomers
from mrs_pipeline.serving.shelf import Filter, NotThereError
from mrs_pipeline.types import BoolArray, FloatArray, IntArray

JOINT: Final = "joint"
"""Similar by the mean cosine over the modalities that both items have."""
BY_MODEL: Final = "model"
"""Similar by the model's item vectors."""


@dataclass(frozen=True)
class Place:
    """One place of a list."""

    rank: int
    item_id: str
    title: str | None
    score: float
    new: bool = False


@dataclass(frozen=True)
class Answer:
    """A list and what ranked it.

    Attributes:
        places: best first.
        ranked_by: model, history or popularity.
        model: the model's name.
        version: of its weights.
        notice: why it is not what one might expect; None where it is.
    """

    places: tuple[Place, ...]
    ranked_by: str
    model: str
    version: str
    notice: str | None = None


def recommend(
    bundle: Bundle,
    k: int,
    *,
    user: str | None = None,
    history: Sequence[str] | None = None,
    chosen: Filter | None = None,
    newcomers: Newcomers | None = None,
) -> Answer:
    """The `k` best items for a user, or for somebody of whom a history is all that is known.

    Args:
        bundle: what is served.
        k: most places.
        user: id of a user; one that nobody knows is shown what is popular.
        history: ids of items, oldest first; items that were added while serving may be among them and are passed over
            by the model.
        chosen: which items may be listed.
        newcomers: items that were added while serving.

    Raises:
        InputError: an item of the history or an attribute is unknown, or both or none of user and history are given.
    """
    if (user is None) == (history is None):
        raise InputError("name a user or give a history, one of the two")
    chosen = chosen or Filter()
    allowed = bundle.shelf.allowed(chosen)
    nothing = np.zeros(0, np.int64)
    if user is not None:
        number = bundle.users.get(user)
        if number is None:
            notice = f"nobody knows the user '{user}': what is popular is shown"
            return _popular(bundle, _Question(k, nothing, allowed, chosen), notice)
        asked = _Question(k, bundle.history_of(number), allowed, chosen)
        if bundle.known_users[number]:
            return _ranked(bundle, asked, _of_user(bundle, number), RANKED_BY_MODEL, newcomers)
        told = bundle.histories.take(torch.tensor([number]))
    else:
        assert history is not None
        added = newcomers.ids if newcomers else frozenset()
        taken = bundle.shelf.numbers([each for each in history if each not in added])
        asked = _Question(k, taken, allowed, chosen)
        told = OrderedHistories.from_lists([taken], len(bundle.shelf))
    if not len(asked.taken):
        return _popular(bundle, asked, "the history is empty: what is popular is shown")
    if bundle.fold is None:
        return _popular(bundle, asked, f"{bundle.name} cannot rank for a history: what is popular is shown")
    return _ranked(bundle, asked, _of_histories(bundle, told), RANKED_BY_HISTORY, newcomers)


def folded(bundle: Bundle, histories: Sequence[IntArray]) -> FloatArray:
    """[B, D] vectors, or [B, I] scores where these are no products, of histories of which the order is known."""
    return _of_histories(bundle, OrderedHistories.from_lists(histories, len(bundle.shelf)))


def similar(bundle: Bundle, item_id: str, k: int, by: str, chosen: Filter | None = None) -> Answer:
    """The `k` items most like one, by a modality, by all of them (`joint`), or by the model's vectors (`model`).

    Raises:
        InputError: an unknown item or way, or the item lacks that content.
    """
    item = bundle.shelf.number(item_id)
    likeness, there = _likeness(bundle, item, by)
    allowed = bundle.shelf.allowed(chosen or Filter())
    there = there if allowed is None else there & allowed
    there[item] = False
    scores = np.where(there, likeness, -np.inf)
    return Answer(_places(bundle, scores, k), by, bundle.name, bundle.version)


def ways_to_compare(bundle: Bundle) -> list[str]:
    """What `by` of `similar` may be."""
    joint = [JOINT] if len(bundle.content) > 1 else []
    return [*bundle.content, *joint, *([BY_MODEL] if bundle.products else [])]


def _likeness(bundle: Bundle, item: int, by: str) -> tuple[FloatArray, BoolArray]:
    if by not in ways_to_compare(bundle):
        raise NotThereError(f"items cannot be compared by '{by}'; by {', '.join(ways_to_compare(bundle))}")
    if by == BY_MODEL:
        if not bundle.rankable[item]:
            raise NotThereError(f"{bundle.name} knows nothing of item '{bundle.shelf.ids[item]}'")
        vectors = bundle.unit_item_vectors
        return vectors @ vectors[item], bundle.rankable.copy()
    chosen = bundle.content if by == JOINT else {by: bundle.content[by]}
    mine = {name: each for name, each in chosen.items() if each.present[item]}
    if not mine:
        raise NotThereError(f"item '{bundle.shelf.ids[item]}' has no {'content' if by == JOINT else by}")
    total = np.zeros(len(bundle.shelf), np.float32)
    count = np.zeros(len(bundle.shelf), np.float32)
    for each in mine.values():
        total += each.values @ each.values[item]
        count += each.present
    return (total / np.maximum(count, 1)).astype(np.float32), count > 0


def _of_histories(bundle: Bundle, histories: OrderedHistories) -> FloatArray:
    assert bundle.fold is not None
    with torch.no_grad():
        found: FloatArray = bundle.fold(histories).numpy()
    return found


def _of_user(bundle: Bundle, number: int) -> FloatArray:
    if bundle.user_vectors is not None:
        return bundle.user_vectors[number : number + 1]
    with torch.no_grad():
        found: FloatArray = bundle.scorer(torch.tensor([number])).numpy()
    return found


@dataclass(frozen=True)
class _Question:
    """A list that is wanted: how long, what is taken already, what may be listed."""

    k: int
    taken: IntArray
    allowed: BoolArray | None
    chosen: Filter


def _ranked(
    bundle: Bundle, asked: _Question, query: FloatArray, by: str, newcomers: Newcomers | None
) -> Answer:
    if bundle.products and bundle.index is not None:
        places = _from_index(bundle, bundle.index, asked, query)
    else:
        scores = query[0] @ bundle.item_vectors.T if bundle.products else query[0]
        passing = bundle.rankable if asked.allowed is None else bundle.rankable & asked.allowed
        scores = np.where(passing, scores, -np.inf)
        scores[asked.taken] = -np.inf
        places = _places(bundle, scores, asked.k)
    if newcomers is not None and bundle.products and newcomers.items:
        places = _with_newcomers(places, newcomers, query[0], asked)
    return Answer(places, by, bundle.name, bundle.version)


def _from_index(bundle: Bundle, index: ItemIndex, asked: _Question, query: FloatArray) -> tuple[Place, ...]:
    """Places by the index; by all products of what passes where a filter may leave little of what it finds."""
    if asked.allowed is None:
        found, scores = index.search(query, asked.k + len(asked.taken))
        kept = ~np.isin(found[0], asked.taken)
        items, values = found[0][kept][: asked.k], scores[0][kept][: asked.k]
    else:
        passing = asked.allowed.copy()
        passing[asked.taken] = False
        found, scores = index.exact(query, asked.k, passing[index.items])
        items, values = found[0], scores[0]
    return tuple(
        Place(rank, bundle.shelf.ids[item], bundle.shelf.titles[item], float(score))
        for rank, (item, score) in enumerate(zip(items.tolist(), values.tolist(), strict=True), 1)
    )


def _with_newcomers(
    places: tuple[Place, ...], newcomers: Newcomers, vector: FloatArray, asked: _Question
) -> tuple[Place, ...]:
    """The list with the items that were added while serving at their places."""
    chosen, k = asked.chosen, asked.k
    if chosen.where:
        return places  # nothing is known of their attributes
    kept = [
        each
        for each in newcomers.items.values()
        if each.item_id not in chosen.exclude
        and (chosen.available is None or each.item_id in chosen.available)
    ]
    more = [Place(0, each.item_id, each.title, float(vector @ each.vector), new=True) for each in kept]
    merged = sorted([*places, *more], key=lambda place: -place.score)[:k]
    return tuple(
        Place(rank, each.item_id, each.title, each.score, each.new) for rank, each in enumerate(merged, 1)
    )


def _popular(bundle: Bundle, asked: _Question, notice: str) -> Answer:
    scores = np.where(bundle.popularity > 0, bundle.popularity, -np.inf)
    if asked.allowed is not None:
        scores = np.where(asked.allowed, scores, -np.inf)
    scores[asked.taken] = -np.inf
    return Answer(_places(bundle, scores, asked.k), RANKED_BY_POPULARITY, bundle.name, bundle.version, notice)


def _places(bundle: Bundle, scores: FloatArray, k: int) -> tuple[Place, ...]:
    best = best_places(scores, k)
    return tuple(
        Place(rank, bundle.shelf.ids[item], bundle.shelf.titles[item], float(scores[item]))
        for rank, item in enumerate(best[np.isfinite(scores[best])].tolist(), 1)
    )
