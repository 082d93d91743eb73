"""Small random worlds: who had what, who is offered what in which order, and what they went on to take."""

from dataclasses import dataclass

import numpy as np

from mrs_pipeline.metrics.evidence import Attribute, Background, Evidence, Grouped, ItemFacts
from mrs_pipeline.types import FeatureMatrix, Interactions

N_USERS, N_ITEMS = 8, 12


@dataclass(frozen=True)
class World:
    """One ranking, as evidence for the metrics and as plain lists and sets for a loop over users."""

    evidence: Evidence
    orders: list[list[int]]  # candidates of each asked user, best first
    truths: list[set[int]]
    profiles: list[set[int]]
    popularity: list[int]  # training users of each item
    catalogue: int
    n_train_users: int


def world(seed: int, k: int = 5, *, only: np.ndarray | None = None) -> World:
    """Users 0, 2, 3, 5, 6 are asked about; items 10 and 11 have no training row; `only` are the candidates."""
    rng = np.random.default_rng(seed)
    users = np.array([0, 2, 3, 5, 6])
    taken = rng.random((N_USERS, N_ITEMS)) < 0.3
    taken[:, 10:] = False
    taken[:, 0] |= ~taken.any(1)
    taken[7] = False  # a user without a training row counts nowhere
    allowed = np.ones(N_ITEMS, bool) if only is None else only
    orders, truths = [], []
    for user in users:
        left = [item for item in rng.permutation(N_ITEMS).tolist() if allowed[item] and not taken[user, item]]
        orders.append(left)
        truths.append(set(rng.choice(left, rng.integers(1, len(left) + 1), replace=False).tolist()))
    return World(
        evidence=evidence_of(orders, truths, users, taken, int(allowed.sum()), k),
        orders=orders,
        truths=truths,
        profiles=[set(np.flatnonzero(taken[user]).tolist()) for user in users],
        popularity=taken.sum(0).tolist(),
        catalogue=int(allowed.sum()),
        n_train_users=int(taken.any(1).sum()),
    )


def evidence_of(
    orders: list[list[int]],
    truths: list[set[int]],
    users: np.ndarray,
    taken: np.ndarray,
    catalogue: int,
    k: int,
    facts: ItemFacts | None = None,
) -> Evidence:
    """What the evaluator would hand over; every training pair stands in the rows twice."""
    places = sorted(
        (row, order.index(item) + 1, item)
        for row, (order, truth) in enumerate(zip(orders, truths, strict=True))
        for item in truth
    )
    rows, ranks, items = np.array(places, np.int64).reshape(-1, 3).T
    lists = np.full((len(orders), k), -1, np.int32)
    for row, order in enumerate(orders):
        lists[row, : len(order[:k])] = order[:k]
    pairs = np.repeat(np.argwhere(taken), 2, axis=0)
    train = Interactions(pairs[:, 0].copy(), pairs[:, 1].copy(), *taken.shape)
    candidates = np.array([len(order) for order in orders], np.int64)
    background = Background(train, facts or ItemFacts())
    return Evidence(users, ranks, rows, items, candidates, catalogue, background, lists)


def with_facts(evidence: Evidence, facts: ItemFacts) -> Evidence:
    """The same ranking, with something known of the items."""
    return Evidence(
        evidence.users,
        evidence.ranks,
        evidence.rows,
        evidence.items,
        evidence.candidates,
        evidence.catalogue,
        Background(evidence.background.train, facts),
        evidence.lists,
    )


def features(seed: int) -> dict[str, FeatureMatrix]:
    """Two modalities with missing rows, and a row of zeros that is present."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, width in (("text", 3), ("image", 5)):
        values = rng.normal(size=(N_ITEMS, width)).astype(np.float32)
        present = rng.random(N_ITEMS) < 0.7
        values[~present] = 9.0  # what is not present may hold anything
        values[1] = 0.0
        found[name] = FeatureMatrix(values, present, name)
    return found


def attribute(values: list[list[int]]) -> Attribute:
    """From the values of each item."""
    sizes = [len(each) for each in values]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flat = np.array([value for each in values for value in each], np.int64)
    return Attribute("genre", Grouped(starts, flat), int(flat.max()) + 1)
