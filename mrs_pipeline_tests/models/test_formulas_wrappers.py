"""VI-MMRec-style and FastMMRec-style: the formulas in NumPy, and that backbones are left as they are otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import knn_graph
from mrs_pipeline.functional.kernels import sparse_products
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.layers.interactions import propagation_graph
from mrs_pipeline.models.layers.lightgcn import LightGcnRecommender
from mrs_pipeline.models.layers.virtual_edges import relevance, virtual_edges
from mrs_pipeline.models.registry import MODELS, model_class
from mrs_pipeline.types import SparseGraph
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    RATINGS,
    adjacency,
    bpr,
    losses,
    propagated,
    scores,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import build, first_batch, toy_market

K = 3
BACKBONES = [
    name
    for name in sorted(MODELS.own)
    if issubclass(model_class(name), LightGcnRecommender) and MODELS[name].spec.pretraining is None
]
MARKET = toy_market()


def dense(graph: SparseGraph | Csr) -> np.ndarray:
    found = np.zeros(graph.shape)
    pointers = np.asarray(graph.indptr)
    for row in range(graph.shape[0]):
        entries = slice(pointers[row], pointers[row + 1])
        found[row, np.asarray(graph.indices)[entries]] = np.asarray(graph.weights)[entries]
    return found


def shares() -> dict[str, float]:
    """Modality -> w_m, pair by pair."""
    gains = {}
    for name, matrix in DATA.features.items():
        rows = unit(matrix.values.astype(float))
        taken = [(u, i) for u, i in np.argwhere(RATINGS) if matrix.present[i]]
        own = [rows[i] @ rows[j] for u, i in taken for v, j in taken if u == v and i != j]
        every = [
            rows[i] @ rows[j] for a, (_, i) in enumerate(taken) for b, (_, j) in enumerate(taken) if a != b
        ]
        gains[name] = max(0.0, np.mean(own) - np.mean(every))
    total = sum(gains.values())
    return {name: gain / total if total else 1 / len(gains) for name, gain in gains.items()}


def largest(rows: np.ndarray, n: int) -> np.ndarray:
    """The n largest of each row over its largest; others zero."""
    found = np.zeros_like(rows)
    for row, values in enumerate(rows):
        kept = [j for j in np.argsort(-values, kind="stable")[:n] if values[j] > 0]
        found[row, kept] = values[kept] / max(values.max(), 1e-12)
    return found


def by_hand(n: int, weight: float, strategy: str) -> np.ndarray:
    liked = {}
    for name, matrix in DATA.features.items():
        near = np.maximum(dense(knn_graph(matrix, K)), 0)
        liked[name] = np.where(RATINGS > 0, 0, RATINGS @ near)
    part = shares()
    if strategy == "synergistic":
        return weight * largest(sum(part[name] * liking for name, liking in liked.items()), n)
    return weight * sum(part[name] * largest(liking, n) for name, liking in liked.items())


def wrapped(name: str, **settings: object):
    return build(name, DATA, knn_k=K, **settings)


def test_weights_of_modalities_are_means_of_cosines_over_pairs():
    _, inputs = build("bpr_mf", DATA)
    assert relevance(inputs) == pytest.approx(shares(), abs=1e-5)
    assert min(shares().values()) > 0 or max(shares().values()) == 1


@pytest.mark.parametrize("strategy", ["overlay", "synergistic"])
@pytest.mark.parametrize("n", [1, 2])
def test_vi_mmrec(strategy, n):
    model, _ = wrapped("vi_mmrec", strategy=strategy, n_edges=n, weight=0.4, settings={"reg_weight": 0.0})
    edges = by_hand(n, 0.4, strategy)
    assert (edges > 0).sum() > 2 and not (edges * RATINGS).any() and edges.max() <= 0.4 + 1e-9
    state = {name.removeprefix("backbone."): value for name, value in weights(model).items()}
    users, items = propagated(adjacency(RATINGS + edges), state, 2)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    assert losses(model)["bpr"] == pytest.approx(bpr(users, items), abs=1e-5)


@pytest.mark.parametrize("settings", [{"n_edges": 0}, {"weight": 0.0}])
def test_without_virtual_edges_the_backbone_is_what_it_is(settings):
    model, _ = wrapped("vi_mmrec", **settings)
    plain, _ = build("lightgcn", DATA)
    assert torch.equal(model.score(torch.arange(N_USERS)), plain.score(torch.arange(N_USERS)))


def test_with_one_modality_the_strategies_are_one():
    data = replace(DATA, features={"image": DATA.features["image"]})
    one, other = (
        build("vi_mmrec", data, knn_k=K, strategy=strategy)[0].score(torch.arange(N_USERS))
        for strategy in ("overlay", "synergistic")
    )
    assert torch.allclose(one, other, atol=1e-6)


def test_blocks_of_users_change_nothing(monkeypatch):
    _, inputs = wrapped("vi_mmrec")
    graphs = dict(inputs.item_graphs)
    whole = dense(virtual_edges(inputs, graphs, 2, 0.3, "overlay"))
    monkeypatch.setattr("mrs_pipeline.models.layers.virtual_edges._PATHS", 4)
    assert np.allclose(dense(virtual_edges(inputs, graphs, 2, 0.3, "overlay")), whole)


def test_the_graph_of_propagation_has_training_pairs_at_one():
    _, inputs = build("lightgcn", DATA)
    more = Csr.from_pairs(torch.tensor([0]), torch.tensor([5]), torch.tensor([0.25]), (N_USERS, N_ITEMS))
    graph = dense(propagation_graph(replace(inputs, virtual=more)))
    expected = RATINGS.copy()
    expected[0, 5] = 0.25
    assert np.allclose(graph[:N_USERS, N_USERS:], expected) and np.allclose(graph, graph.T)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_virtual_edges_reach_any_backbone(backbone):
    model, inputs = build("vi_mmrec", MARKET.data, backbone=backbone, n_edges=20, weight=1.0, knn_k=5)
    plain, _ = build("vi_mmrec", MARKET.data, backbone=backbone, n_edges=0, knn_k=5)
    everyone = torch.arange(60)
    assert not torch.allclose(model.score(everyone), plain.score(everyone), atol=1e-6)
    found = sum(model.loss(first_batch(model, inputs)).values())
    assert found.isfinite()


def test_what_cannot_be_wrapped_is_refused():
    for name in ("vi_mmrec", "fastmmrec"):
        with pytest.raises(ValidationError, match="'vbpr' cannot stand here.*LightGCN"):
            MODELS[name].Config(backbone="vbpr")
        with pytest.raises(ValidationError, match="settings.learning_rate is the wrapper's"):
            MODELS[name].Config(settings={"learning_rate": 0.1})
    with pytest.raises(
        InputError, match="'fastmmrec' cannot wrap 'mgcn', which has graphs that are not square"
    ):
        build("fastmmrec", MARKET.data, backbone="mgcn")


def test_fastmmrec_trains_without_graphs_and_scores_with_them():
    model, _ = wrapped("fastmmrec", backbone="lightgcn", settings={"reg_weight": 0.0, "n_layers": 3})
    state = {name.removeprefix("backbone."): value for name, value in weights(model).items()}
    users, items = propagated(adjacency(RATINGS), state, 3)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    plain = bpr(state["user_embedding"], state["item_embedding"])
    assert losses(model)["bpr"] == pytest.approx(plain, abs=1e-5)
    assert plain != pytest.approx(bpr(users, items), abs=1e-4)


@pytest.mark.parametrize("backbone", ["lightgcn", "simgcl", "bm3", "freedom"])
def test_no_step_of_fastmmrec_multiplies_by_a_graph(backbone, monkeypatch):
    model, inputs = build("fastmmrec", MARKET.data, backbone=backbone, knn_k=5)
    batch = first_batch(model, inputs)
    calls = []
    for name in ("product", "_horner_mean"):
        real = getattr(sparse_products, name)
        monkeypatch.setattr(
            sparse_products, name, lambda *given, f=real, n=name: calls.append(n) or f(*given)
        )
    sum(model.loss(batch).values()).backward()
    assert not calls
    model.score(torch.arange(3))
    assert calls


def test_fastmmrec_on_freedom_adds_an_item_to_itself():
    model, _ = wrapped("fastmmrec", settings={"reg_weight": 0.0, "dropout": 0.0})
    state = weights(model)
    users, items = state["backbone.user_embedding"], 2 * state["backbone.item_embedding"]
    assert losses(model, BATCH)["bpr"] == pytest.approx(bpr(users, items), abs=1e-5)
