"""KGIN, CKE and MKR against their equations in dense NumPy on a small market."""

from itertools import combinations

import numpy as np
import pytest
import torch

from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    KNOWLEDGE,
    N_ITEMS,
    N_USERS,
    RATINGS,
    affine,
    bpr,
    losses,
    scores,
    twin,
    unit,
    weights,
    with_biases,
)
from mrs_pipeline_tests.models.test_formulas_modal_graphs import batch_squares, half_squares, sigmoid, softmax
from mrs_pipeline_tests.toy import build

TRIPLES = [
    *(
        (int(h), 2 * int(r), int(t))
        for h, r, t in zip(KNOWLEDGE.heads, KNOWLEDGE.relations, KNOWLEDGE.tails, strict=True)
    ),
    *(
        (int(t), 2 * int(r) + 1, int(h))
        for h, r, t in zip(KNOWLEDGE.heads, KNOWLEDGE.relations, KNOWLEDGE.tails, strict=True)
    ),
]


def distance_correlation(one: np.ndarray, other: np.ndarray) -> float:
    def centred(x: np.ndarray) -> np.ndarray:
        distances = np.abs(x[:, None] - x[None, :])
        return distances - distances.mean(0) - distances.mean(1)[:, None] + distances.mean()

    a, b = centred(one), centred(other)
    return float(np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_kgin(n_layers):
    model = build("kgin", DATA, n_layers=n_layers, n_intents=3, intent_weight=0.5, reg_weight=0.1)[0].eval()
    state = weights(model)
    users, entities = (
        state["user_embedding"],
        np.concatenate([state["item_embedding"], state["entity_embedding"]]),
    )
    relations = state["relation_embedding"]
    intents = softmax(state["intent_weights"]) @ relations
    of_users, of_entities = users, entities
    for _ in range(n_layers):
        mean = RATINGS @ entities[:N_ITEMS] / np.maximum(RATINGS.sum(1, keepdims=True), 1)
        users = unit(mean * (1 + softmax(users @ state["intents"].T) @ intents))
        around, counts = np.zeros_like(entities), np.zeros((len(entities), 1))
        for head, relation, tail in TRIPLES:
            around[head] += relations[relation] * entities[tail]
            counts[head] += 1
        entities = unit(around / np.maximum(counts, 1))
        of_users, of_entities = of_users + users, of_entities + entities
    items = of_entities[:N_ITEMS]
    assert np.allclose(scores(model), of_users @ items.T, atol=1e-5)
    pairs = combinations(state["intent_weights"], 2)
    expected = {
        "bpr": bpr(of_users, items),
        "reg": 0.1 * batch_squares(of_users, items),
        "intents": 0.5 * sum(distance_correlation(*pair) for pair in pairs),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-3)


def standard(name: str) -> np.ndarray:
    matrix = DATA.features[name]
    known = matrix.values[matrix.present].astype(float)
    rows = (matrix.values - known.mean(0)) / known.std(0)
    return rows * matrix.present[:, None]


def coded(state: dict[str, np.ndarray], side: str, name: str, rows: np.ndarray) -> np.ndarray:
    return affine(state, f"content.{side}.{name}.2", np.tanh(affine(state, f"content.{side}.{name}.0", rows)))


def test_cke():
    settings = {"noise": 0.0, "knowledge_weight": 0.3, "restoring_weight": 0.5, "reg_weight": 0.1}
    model = with_biases(build("cke", DATA, relation_size=5, n_triples=12, **settings)[0])
    state = weights(model)
    items, restoring = state["item_embedding"] + state["item_entity_embedding"], 0.0
    for name, matrix in DATA.features.items():
        rows = standard(name)
        code = coded(state, "encoders", name, rows)
        items = items + code * matrix.present[:, None]
        known = [item for item in BATCH.positives if matrix.present[item]]
        restoring += np.mean((coded(state, "decoders", name, code) - rows)[known] ** 2)
    users = state["user_embedding"]
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    nodes = np.concatenate([state["item_entity_embedding"], state["entity_embedding"]])
    drawn = model._sampler.draw(twin(model.generator))
    gaps, squares = [], 0.0
    for head, relation, tail, negative in zip(
        drawn.heads, drawn.relations, drawn.tails, drawn.negatives, strict=True
    ):
        projection = state["relation_projection"][relation]
        h, t, n = (unit(nodes[end] @ projection) for end in (head, tail, negative))
        r = unit(state["relation_embedding"][relation])
        gaps.append(((h + r - n) ** 2).sum() - ((h + r - t) ** 2).sum())
        squares += half_squares(h, r, t, n) / len(drawn.heads)
    expected = {
        "bpr": bpr(users, items),
        "knowledge": 0.3 * np.mean(np.log1p(np.exp(-np.array(gaps)))),
        "reg": 0.1 * (batch_squares(users, items) + 0.3 * squares),
        "restoring": 0.5 * restoring,
    }
    assert losses(model) == pytest.approx(expected, abs=1e-4)


def test_cke_drops_features_when_it_restores_and_not_when_it_scores():
    model, _ = build("cke", DATA, noise=0.5, n_triples=12)
    state = model.generator.get_state()
    first = model.train().score(torch.arange(N_USERS))
    assert torch.equal(model.generator.get_state(), state)
    assert torch.equal(model.score(torch.arange(N_USERS)), first)
    found = [model.loss(BATCH)["restoring"].item() for _ in range(2)]
    assert found[0] != found[1]


def mixed(state: dict[str, np.ndarray], n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    """v_L and e_L of all items, through the explicit products C."""
    item, entity = state["item_embedding"].copy(), state["head_embedding"].copy()
    for number in range(n_layers):
        w = {name: state[f"units.{number}.{name}"] for name in ("vv", "ev", "ve", "ee")}
        crosses = np.einsum("nd,nk->ndk", item, entity)
        turned = crosses.transpose(0, 2, 1)
        item, entity = (
            crosses @ w["vv"] + turned @ w["ev"] + state[f"units.{number}.item_bias"],
            crosses @ w["ve"] + turned @ w["ee"] + state[f"units.{number}.entity_bias"],
        )
    return item, entity


@pytest.mark.parametrize("knowledge_loss", ["pairwise", "published"])
def test_mkr(knowledge_loss):
    layers = {"n_layers": 2, "n_high_layers": 2, "knowledge_loss": knowledge_loss}
    model = with_biases(build("mkr", DATA, reg_weight=0.1, n_triples=12, **layers)[0])
    state = weights(model)
    items, entities = mixed(state, 2)

    def through(name: str, rows: np.ndarray) -> np.ndarray:
        for number in range(2):
            rows = np.maximum(affine(state, f"{name}.{number}", rows), 0)
        return rows

    users = through("user_layers", state["user_embedding"])
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    drawn = model._sampler.draw(twin(model.generator))
    assert (drawn.heads < N_ITEMS).all()
    asked = np.hstack([entities[drawn.heads], state["relation_embedding"][drawn.relations]])
    asked = sigmoid(affine(state, "high.1", np.maximum(affine(state, "high.0", asked), 0)))
    tails = through("tail_layers", state["tail_embedding"])
    true, corrupted = (sigmoid((asked * tails[ends]).sum(1)) for ends in (drawn.tails, drawn.negatives))
    pairwise = np.mean(np.log1p(np.exp(corrupted - true)))
    expected = {
        "bpr": bpr(users, items),
        "knowledge": 0.1 * (pairwise if knowledge_loss == "pairwise" else -true.mean()),
        "reg": 0.1 * batch_squares(users, items),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-4)
