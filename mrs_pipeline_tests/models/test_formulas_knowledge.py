"""KGAT and MKGAT against their equations in dense NumPy, node by node and edge by edge."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    KNOWLEDGE,
    N_ITEMS,
    N_USERS,
    PAIRS,
    bpr,
    losses,
    scores,
    weights,
)
from mrs_pipeline_tests.toy import build

Edge = tuple[int, int, int]


def edges() -> list[Edge]:
    """(head, relation, tail) of users, items and entities; each relation is followed by its inverse."""
    found = []
    for user, item in PAIRS:
        found += [(user, 0, N_USERS + item), (N_USERS + item, 1, user)]
    for head, relation, tail in zip(KNOWLEDGE.heads, KNOWLEDGE.relations, KNOWLEDGE.tails, strict=True):
        found += [
            (N_USERS + head, 2 + 2 * relation, N_USERS + tail),
            (N_USERS + tail, 3 + 2 * relation, N_USERS + head),
        ]
    return found


def softmax_by_head(scored: dict[Edge, float]) -> dict[Edge, float]:
    total = {}
    for (head, *_), score in scored.items():
        total[head] = total.get(head, 0.0) + np.exp(score)
    return {edge: np.exp(score) / total[edge[0]] for edge, score in scored.items()}


def leaky(x: np.ndarray, slope: float = 0.2) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def kgat_nodes(state: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([state["user_embedding"], state["item_embedding"], state["entity_embedding"]])


def kgat_vectors(state: dict[str, np.ndarray]) -> np.ndarray:
    nodes = kgat_nodes(state)
    attention = np.zeros((len(nodes), len(nodes)))
    scored = {}
    for head, relation, tail in edges():
        projection = state["relation_projection"][relation]
        shifted = np.tanh(nodes[head] @ projection + state["relation_embedding"][relation])
        scored[head, relation, tail] = (nodes[tail] @ projection) @ shifted
    for (head, _, tail), weight in softmax_by_head(scored).items():
        attention[head, tail] += weight
    layers = [nodes]
    for layer in range(2):
        around = attention @ nodes
        added = (nodes + around) @ state[f"sums.{layer}.weight"].T + state[f"sums.{layer}.bias"]
        product = (nodes * around) @ state[f"products.{layer}.weight"].T + state[f"products.{layer}.bias"]
        nodes = leaky(added) + leaky(product)
        layers.append(nodes / np.maximum(np.linalg.norm(nodes, axis=1, keepdims=True), 1e-12))
    return np.concatenate(layers, axis=1)


def test_kgat():
    model, _ = build("kgat", DATA, layer_sizes=(6, 5), relation_size=7, dropout=0.0, reg_weight=0.5)
    state = weights(model)
    vectors = kgat_vectors(state)
    users, items = vectors[:N_USERS], vectors[N_USERS : N_USERS + N_ITEMS]
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)

    model.generator.manual_seed(3)
    found = losses(model)
    model.generator.manual_seed(3)
    triples = model._sampler.draw(model.generator)
    nodes, true = kgat_nodes(state), set(edges())
    gaps, squares = [], 0.0
    for head, relation, tail, wrong in zip(
        *(column.tolist() for column in (triples.heads, triples.relations, triples.tails, triples.negatives)),
        strict=True,
    ):
        assert (head, relation, tail) in true and (head, relation, wrong) not in true
        projection, shift = state["relation_projection"][relation], state["relation_embedding"][relation]
        h, t, w = (nodes[node] @ projection for node in (head, tail, wrong))
        gaps.append(((h + shift - w) ** 2).sum() - ((h + shift - t) ** 2).sum())
        squares += sum((part**2).sum() for part in (h, shift, t, w))
    rows = sum(
        (part**2).sum() for part in (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    )
    norms = rows / (2 * len(BATCH.users)) + squares / (2 * len(gaps))
    assert found["bpr"] == pytest.approx(bpr(users, items), abs=1e-6)
    assert found["knowledge"] == pytest.approx(np.mean(np.log1p(np.exp(-np.array(gaps)))), abs=1e-5)
    assert found["reg"] == pytest.approx(0.5 * norms, rel=1e-5)


def test_every_relation_has_its_share_of_a_batch():
    model, _ = build("kgat", DATA, n_triples=100)
    total = {}
    for _, relation, _ in edges():
        total[relation] = total.get(relation, 0) + 1
    triples = model._sampler.draw(model.generator)
    drawn = torch.bincount(triples.relations).tolist()
    assert drawn == list(triples.counts)
    assert drawn == [max(1, round(100 * total[relation] / sum(total.values()))) for relation in sorted(total)]


def test_attention_of_an_epoch_is_that_of_its_start():
    model, _ = build("kgat", DATA)
    model.start_epoch()
    before = model._attention.matrix.to_dense().clone()
    with torch.no_grad():
        model.relation_embedding.mul_(-3)
        model.relation_projection.mul_(5)
    model.loss(BATCH)
    assert torch.equal(model._attention.matrix.to_dense(), before)
    model.start_epoch()
    assert not torch.allclose(model._attention.matrix.to_dense(), before, atol=1e-3)


def test_a_cold_item_is_known_by_its_triples():
    model, _ = build("kgat", DATA)
    state = weights(model)
    assert np.abs(state["item_embedding"][5]).min() > 0
    assert (state["entity_embedding"][10 - N_ITEMS] == 0).all()
    assert np.abs(scores(model)[:, 5]).min() > 0


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"tails": np.array([6, 6, 7, 7, 6, 7, 8, 8, 8, 11])}, r"entities outside 0\.\.10"),
        ({"heads": np.array([-1, 1, 2, 3, 4, 5, 0, 2, 5, 6])}, r"entities outside 0\.\.10"),
        ({"n_entities": 5}, "fewer than the dataset's 6 items"),
        ({"n_relations": 2}, r"relations outside 0\.\.1"),
    ],
)
def test_a_graph_of_another_catalogue_is_refused(fault, sentence):
    with pytest.raises(InputError, match=sentence):
        build("kgat", replace(DATA, knowledge=replace(KNOWLEDGE, **fault)))


def test_a_triple_that_stands_twice_counts_once():
    twice = replace(
        KNOWLEDGE,
        **{name: np.tile(getattr(KNOWLEDGE, name), 2) for name in ("heads", "relations", "tails")},
    )
    once, again = (build("kgat", replace(DATA, knowledge=graph))[0] for graph in (KNOWLEDGE, twice))
    assert np.array_equal(scores(once), scores(again))


def test_an_entity_joined_to_itself_says_nothing():
    looped = replace(
        KNOWLEDGE,
        heads=np.append(KNOWLEDGE.heads, 7),
        relations=np.append(KNOWLEDGE.relations, 2),
        tails=np.append(KNOWLEDGE.tails, 7),
    )
    once, again = (build("kgat", replace(DATA, knowledge=graph))[0] for graph in (KNOWLEDGE, looped))
    assert np.array_equal(scores(once), scores(again))


def test_a_graph_without_triples_is_no_graph():
    nothing = np.zeros(0, dtype=np.int64)
    empty = replace(KNOWLEDGE, heads=nothing, relations=nothing, tails=nothing)
    with pytest.raises(InputError, match="model 'kgat' needs a knowledge graph"):
        build("kgat", replace(DATA, knowledge=empty))


def attended(
    state: dict[str, np.ndarray],
    layer: str,
    graph: list[Edge],
    nodes: np.ndarray,
    relations: np.ndarray,
    combine: str,
) -> np.ndarray:
    """One attention layer of MKGAT, edge by edge, with W_1 put together from its three blocks."""
    joint = np.concatenate([state[f"{layer}.{part}.weight"] for part in ("head", "relation", "tail")], axis=1)
    messages, scored = {}, {}
    for head, relation, tail in graph:
        message = joint @ np.concatenate([nodes[head], relations[relation], nodes[tail]])
        messages[head, relation, tail] = message
        scored[head, relation, tail] = leaky(state[f"{layer}.score.weight"] @ message, 0.01).item()
    gathered = np.zeros_like(nodes)
    for edge, weight in softmax_by_head(scored).items():
        gathered[edge[0]] += weight * messages[edge]
    weight, bias = state[f"{layer}.update.weight"], state[f"{layer}.update.bias"]
    if combine == "add":
        return nodes @ weight.T + bias + gathered
    return np.concatenate([nodes, gathered], axis=1) @ weight.T + bias


def mkgat_graph() -> tuple[list[Edge], list[np.ndarray]]:
    """Edges of the knowledge graph with modality nodes, and the features of these."""
    triples = zip(KNOWLEDGE.heads, KNOWLEDGE.relations, KNOWLEDGE.tails, strict=True)
    graph = [edge for h, r, t in triples for edge in ((h, 2 * r, t), (t, 2 * r + 1, h))]
    node, relation, content = KNOWLEDGE.n_entities, 2 * KNOWLEDGE.n_relations, []
    for matrix in DATA.features.values():
        values = matrix.values[matrix.present].astype(np.float64)
        centred = values - values.mean(0)
        content.append(centred / np.linalg.norm(centred, axis=1, keepdims=True) / np.sqrt(values.shape[1]))
        for item in np.flatnonzero(matrix.present):
            graph += [(item, relation, node), (node, relation + 1, item)]
            node += 1
        relation += 2
    return graph, content


@pytest.mark.parametrize("combine", ["add", "concat"])
def test_mkgat(combine):
    settings = {"combine": combine, "n_layers": 2, "n_knowledge_layers": 2, "dropout": 0.0, "reg_weight": 0.5}
    model, _ = build("mkgat", DATA, **settings)
    with torch.no_grad():  # biases start at zero, where a place could be wrong unseen
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(generator=model.generator)
    state = weights(model)
    graph, content = mkgat_graph()
    named = np.concatenate([state["item_embedding"], state["entity_embedding"]])
    nodes = [named @ state["encoder.weight"].T + state["encoder.bias"]]
    for name, rows in zip(DATA.features, content, strict=True):
        encoder = f"content_encoders.{name}"
        nodes.append(rows @ state[f"{encoder}.weight"].T + state[f"{encoder}.bias"])
    known = np.concatenate(nodes)
    for layer in range(2):
        known = attended(state, f"knowledge_layers.{layer}", graph, known, state["relations"], combine)
    layers = [np.concatenate([state["user_embedding"], known[:N_ITEMS]])]
    interactions = [edge for edge in edges() if edge[1] < 2]
    for layer in range(2):
        relations = state["interaction_relations"]
        layers.append(attended(state, f"layers.{layer}", interactions, layers[-1], relations, combine))
    users, items = np.split(np.concatenate(layers, axis=1), [N_USERS])
    assert np.allclose(scores(model), users @ items.T, atol=1e-4)

    model.generator.manual_seed(3)
    found = losses(model)
    model.generator.manual_seed(3)
    batch = model._sampler.draw(model.generator)
    head, tail, wrong = (known[ends.numpy()] for ends in (batch.heads, batch.tails, batch.negatives))
    translated = head + state["relations"][batch.relations.numpy()]
    gaps = ((translated - wrong) ** 2).sum(1) - ((translated - tail) ** 2).sum(1)
    ranked = (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    norms = sum((part**2).sum() for part in ranked) / (2 * len(BATCH.users))
    norms += sum((part**2).sum() for part in (head, tail, wrong)) / (2 * len(gaps))
    assert found["bpr"] == pytest.approx(bpr(users, items), abs=1e-5)
    assert found["knowledge"] == pytest.approx(np.mean(np.log1p(np.exp(-gaps))), abs=1e-5)
    assert found["reg"] == pytest.approx(0.5 * norms, rel=1e-4)


def test_an_item_without_a_modality_has_no_node_of_it():
    model, _ = build("mkgat", DATA)
    triples = model._sampler.triples
    for number, matrix in enumerate(DATA.features.values()):
        has = triples.heads[triples.relations == 2 * (KNOWLEDGE.n_relations + number)]
        assert sorted(has.tolist()) == np.flatnonzero(matrix.present).tolist()
