"""Models that filter content against their equations in dense NumPy."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.clustering import kmeans, nearest_centre
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline_tests.models.small import (
    BATCH as PAIRED,
)
from mrs_pipeline_tests.models.small import (
    DATA,
    N_ITEMS,
    N_USERS,
    RATINGS,
    affine,
    bpr,
    losses,
    projected,
    scores,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.toy import build

TRIPLES = PairBatch(
    torch.tensor([0, 1, 3, 2]), torch.tensor([1, 2, 4, 3]), torch.tensor([[3, 2], [0, 4], [2, 0], [4, 1]])
)


def normed(state, name, x):
    centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred * state[f"{name}.weight"] + state[f"{name}.bias"]


def looped() -> np.ndarray:
    """A + I [N, N]."""
    return np.block([[np.eye(N_USERS), RATINGS], [RATINGS.T, np.eye(N_ITEMS)]])


def mcln_joint(state, tokens, others=None):
    """m of one item from its tokens [T, D], compared with another item's."""
    for number in range(2):
        p = f"blocks.{number}"

        def turned(name, x, p=p):
            return x @ state[f"{p}.maps.{name}.weight"].T

        def fed(x, logits, p=p):
            share = np.exp(logits / 4) / np.exp(logits / 4).sum(1, keepdims=True)
            y = normed(state, f"{p}.attention_norm", x + share @ turned("value", x))
            inner = np.maximum(affine(state, f"{p}.inner", y), 0)
            return normed(state, f"{p}.feed_norm", y + affine(state, f"{p}.outer", inner))

        logits = turned("query", tokens) @ turned("key", tokens).T
        if others is not None:
            logits = logits - turned("other_query", others) @ turned("other_key", others).T
            others = fed(others, turned("query", others) @ turned("key", others).T)
        tokens = fed(tokens, logits)
    return np.maximum(affine(state, "joint", tokens.flatten()), 0)


def test_mcln():
    model = with_biases(build("mcln", DATA, n_layers=2, reg_weight=0.1)[0])
    state = weights(model)
    degrees = looped().sum(1)
    matrix = degrees[:, None] ** -0.5 * looped() * degrees[None, :] ** -0.4
    start = np.vstack([state["user_embedding"], state["item_embedding"]])
    users, items = np.split(np.mean([start, matrix @ start, matrix @ matrix @ start], axis=0), [N_USERS])
    tokens = np.stack(
        [items, *(projected(state, name, unit_features=True) for name in DATA.features)], axis=1
    )
    joint = np.stack([mcln_joint(state, each) for each in tokens])
    assert np.allclose(
        scores(model), users @ (tokens[:, 0] + 0.3 * tokens[:, 1:].sum(1) + joint).T, atol=1e-4
    )

    u, i, (j, c) = TRIPLES.users.numpy(), TRIPLES.positives.numpy(), TRIPLES.negatives.numpy().T
    compared = np.stack(
        [mcln_joint(state, tokens[one], tokens[other]) for one, other in zip(i, c, strict=True)]
    )

    def ranked(one, other):
        return np.log1p(np.exp(-(users[u] * (one - other)).sum(1))).mean()

    rows = (users[u], items[i], items[j], compared, joint[j])
    expected = {
        "bpr": ranked(items[i], items[j]),
        "bpr_image": ranked(tokens[i, 1], tokens[j, 1]),
        "bpr_text": ranked(tokens[i, 2], tokens[j, 2]),
        "bpr_joint": ranked(compared, joint[j]),
        "reg": 0.1 * sum((each**2).sum() for each in rows) / 2 / len(u),
    }
    assert losses(model, TRIPLES) == pytest.approx(expected, abs=1e-4)


def test_mcln_compares_with_no_item_where_its_maps_are_zero():
    model, _ = build("mcln", DATA, n_layers=2)
    with torch.no_grad():
        for block in model.blocks:
            block.maps["other_query"].weight.zero_()
    before = losses(model, TRIPLES)
    other = PairBatch(TRIPLES.users, TRIPLES.positives, TRIPLES.negatives[:, [0, 0]])
    assert losses(model, other) == pytest.approx(before, abs=1e-6)


# AMR


def amr_vectors(state, moves=None):
    """Items [I, D] with content moved by `moves` (modality -> [I, F])."""
    total = state["item_embedding"].copy()
    for name, matrix in DATA.features.items():
        c = matrix.values.astype(float) / np.abs(matrix.values).max()
        total += (c + (0 if moves is None else moves[name])) @ state[f"layers.{name}.weight"].T
    return total


def amr_attack(state, epsilon):
    """The gradient of BPR by each item's content, written out; only what is there is moved."""
    users, items = state["user_embedding"], amr_vectors(state)
    moves = {}
    for name, matrix in DATA.features.items():
        slopes = np.zeros(matrix.values.shape)
        for u, i, j in zip(PAIRED.users, PAIRED.positives, PAIRED.negatives, strict=True):
            weight = -1 / (1 + np.exp(users[u] @ (items[i] - items[j]))) / len(PAIRED.users)
            slopes[i] += weight * (users[u] @ state[f"layers.{name}.weight"])
            slopes[j] -= weight * (users[u] @ state[f"layers.{name}.weight"])
        moves[name] = epsilon * unit(slopes) * matrix.present[:, None]
    return moves


def test_amr():
    settings = {"epsilon": 0.5, "adversarial_weight": 0.7, "reg_weight": 0.1}
    model, _ = build("amr", DATA, **settings)
    state = weights(model)
    users, items = state["user_embedding"], amr_vectors(state)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    attacked = amr_vectors(state, amr_attack(state, 0.5))
    rows = (users[PAIRED.users], items[PAIRED.positives], items[PAIRED.negatives])
    expected = {
        "bpr": bpr(users, items),
        "adversarial": 0.7 * bpr(users, attacked),
        "reg": 0.1 * sum((each**2).sum() for each in rows) / 2 / len(PAIRED.users),
    }
    found = losses(model)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found["adversarial"] / 0.7 > found["bpr"]


def test_amr_without_an_attack_ranks_the_same_pairs_twice():
    model, _ = build("amr", DATA, epsilon=0.0, adversarial_weight=1.0)
    found = losses(model)
    assert found["adversarial"] == pytest.approx(found["bpr"])


# MEGCF


def entities(n: int, each: int) -> list[tuple[int, int]]:
    """Item-entity edges, by distances from the centres of the warm items."""
    edges, count = [], 0
    for matrix in DATA.features.values():
        there = np.flatnonzero(matrix.present)
        standard = (matrix.values.astype(float) - matrix.values[there].mean(0)) / matrix.values[there].std(0)
        warm = [i for i in there if i != 5]
        centres = kmeans(torch.from_numpy(standard[warm]), n).numpy()
        for item in there:
            order = np.argsort(((standard[item] - centres) ** 2).sum(1))[:each]
            edges += [(item, count + entity) for entity in order]
        count += max(entity - count for _, entity in edges) + 1
    return edges


def test_megcf():
    settings = {
        "n_layers": 2,
        "n_entities": 3,
        "each": 2,
        "sentiment": 0.5,
        "reg_weight": 0.1,
        "entity_reg_weight": 0.2,
    }
    model, _ = build("megcf", DATA, **settings)
    state = weights(model)
    felt = (np.maximum(RATINGS.sum(0), 1) / RATINGS.sum(0).max()) ** 0.5
    felt = felt / felt.mean()
    start = np.vstack([state["user_embedding"], state["item_embedding"], state["entity_embedding"]])
    n = len(start)
    found = []
    for facts in ([], entities(3, 2)):
        edges, sentiment = np.zeros((n, n)), 2 * np.eye(n)
        pairs = [(u, N_USERS + i, i) for u, i in zip(*np.nonzero(RATINGS), strict=True)]
        pairs += [(N_USERS + N_ITEMS + entity, N_USERS + i, i) for i, entity in facts]
        for one, other, item in pairs:
            edges[one, other] = edges[other, one] = 1
            sentiment[one, other] = sentiment[other, one] = felt[item]
        edges += np.eye(n)
        degrees = edges.sum(1)
        matrix = degrees[:, None] ** -0.5 * edges * degrees[None, :] ** -0.4 * sentiment
        found.append(np.split((matrix @ matrix @ start)[: N_USERS + N_ITEMS], [N_USERS]))
    assert np.allclose(scores(model), sum(users @ items.T for users, items in found), atol=1e-5)
    terms = [bpr(*pair) for pair in found]
    norms = [
        sum(
            (rows**2).sum()
            for rows in (pair[0][PAIRED.users], pair[1][PAIRED.positives], pair[1][PAIRED.negatives])
        )
        / 2
        / len(PAIRED.users)
        for pair in found
    ]
    expected = {"bpr": terms[0], "bpr_entities": terms[1], "reg": 0.1 * norms[0] + 0.2 * norms[1]}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_clusters_are_those_of_the_rows_and_not_of_their_order():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(np.vstack([centre + 0.1 * rng.normal(size=(20, 3)) for centre in 5 * np.eye(3)]))
    centres = kmeans(rows, 3)
    means = rows.view(3, 20, 3).mean(1)
    assert torch.allclose(centres[centres.argmax(1).argsort()], means)
    order = torch.randperm(60)
    assert torch.allclose(kmeans(rows[order], 3), centres)
    owner = nearest_centre(rows, centres)
    assert all(len(owner[start : start + 20].unique()) == 1 for start in (0, 20, 40))
    assert len(kmeans(rows[:2], 3)) == 2
