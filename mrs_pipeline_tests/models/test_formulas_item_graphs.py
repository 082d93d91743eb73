"""LATTICE, MICRO, MGCN and SMORE against their equations, written down again in dense NumPy on a small market."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mrs_pipeline.errors import InputError
from mrs_pipeline.evaluation.evaluator import ranking_task
from mrs_pipeline.functional.graphs import DEGREE_EPSILON
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.types import FeatureMatrix, TrainingData
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    RATINGS,
    adjacency,
    affine,
    bpr,
    in_batch_contrast,
    losses,
    mean_metric,
    propagated,
    scores,
    unit,
    weights,
)
from mrs_pipeline_tests.toy import COLD_ITEMS, build, interactions, trained

MODELS = ("lattice", "mgcn", "micro", "smore")
HAS = np.stack([matrix.present for matrix in DATA.features.values()], axis=1)
USER_HAS = RATINGS @ HAS > 0
TO_USERS = adjacency(RATINGS)[:N_USERS, N_USERS:]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    raised = np.exp(x) * (1 if allowed is None else allowed)
    return raised / np.maximum(raised.sum(1, keepdims=True), 1e-300)


def knn(values: np.ndarray, present: np.ndarray, k: int) -> np.ndarray:
    """Cosines of the k nearest of each row, itself first, none below zero."""
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    cosine = values @ values.T / np.maximum(norm * norm.T, 1e-12)
    graph = np.zeros_like(cosine)
    for item in np.flatnonzero(present):
        order = sorted(np.flatnonzero(present), key=lambda other: (other != item, -cosine[item, other]))
        graph[item, order[:k]] = np.maximum(cosine[item, order[:k]], 0)
    return graph


def normalised(graph: np.ndarray) -> np.ndarray:
    scale = (graph.sum(1) + DEGREE_EPSILON) ** -0.5
    return scale[:, None] * graph * scale[None, :]


def raw_graphs(k: int) -> list[np.ndarray]:
    return [normalised(knn(m.values.astype(float), m.present, k)) for m in DATA.features.values()]


def learned_graphs(state: dict[str, np.ndarray], k: int) -> list[np.ndarray]:
    return [
        knn(affine(state, f"neighbours.layers.{name}", m.values.astype(float)), m.present, k)
        for name, m in DATA.features.items()
    ]


def walked(state: dict[str, np.ndarray], n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    looped = (adjacency(RATINGS) > 0) + np.eye(N_USERS + N_ITEMS)
    return propagated(looped / looped.sum(1, keepdims=True), state, n_layers)


def squared(users: np.ndarray, items: np.ndarray) -> float:
    parts = (users[BATCH.users], items[BATCH.positives], items[BATCH.negatives])
    return sum((part**2).sum() for part in parts) / 2 / len(BATCH.users)


def info_nce(anchors: np.ndarray, others: np.ndarray, rows: torch.Tensor, temperature: float) -> float:
    return in_batch_contrast(unit(anchors[rows]) @ unit(others[rows]).T / temperature)


def attended(state: dict[str, np.ndarray], views: list[np.ndarray], has: np.ndarray) -> np.ndarray:
    """Sum of the views, weighed by attention."""
    hidden = [np.tanh(affine(state, "attention.hidden", view)) for view in views]
    shares = softmax(np.concatenate([affine(state, "attention.query", h) for h in hidden], axis=1), has)
    return sum(shares[:, [number]] * view for number, view in enumerate(views))


@pytest.mark.parametrize("n_item_layers", [1, 2])
def test_lattice(n_item_layers):
    model, _ = build(
        "lattice", DATA, knn_k=2, original_share=0.7, reg_weight=0.1, n_item_layers=n_item_layers
    )
    with torch.no_grad():
        model.modality_logits.copy_(torch.tensor([0.3, -0.4]))
    state = weights(model)
    shares = softmax(np.tile(state["modality_logits"], (N_ITEMS, 1)), HAS)

    def mixed(graphs: list[np.ndarray]) -> np.ndarray:
        return sum(shares[:, [number]] * graph for number, graph in enumerate(graphs))

    graph = 0.3 * normalised(mixed(learned_graphs(state, 2))) + 0.7 * mixed(raw_graphs(2))
    latent = np.linalg.matrix_power(graph, n_item_layers) @ state["item_embedding"]
    users, items = walked(state, 2)
    items = items + unit(latent)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    expected = {"bpr": bpr(users, items), "reg": 0.1 * squared(users, items)}
    assert losses(model) == pytest.approx(expected, abs=1e-5)
    assert losses(model) == pytest.approx(expected, abs=1e-5)  # the second step, with a constant graph


def test_micro():
    model, _ = build("micro", DATA, knn_k=2, original_share=0.7, reg_weight=0.1, cl_weight=0.5)
    state = weights(model)
    views = [
        (0.3 * normalised(learned) + 0.7 * raw) @ state["item_embedding"]
        for learned, raw in zip(learned_graphs(state, 2), raw_graphs(2), strict=True)
    ]
    latent = attended(state, views, HAS)
    users, items = walked(state, 2)
    items = items + unit(latent)
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    contrast = 0.0
    for number, view in enumerate(views):
        rows = np.array([item for item in np.unique(BATCH.positives) if HAS[item, number]])
        between = np.exp(unit(view[rows]) @ unit(latent[rows]).T / 0.5)
        within = np.exp(unit(view[rows]) @ unit(view[rows]).T / 0.5)
        total = between.sum(1) + within.sum(1) - np.diag(within)
        contrast -= np.mean(np.log(np.diag(between) / total))
    expected = {"bpr": bpr(users, items), "reg": 0.1 * squared(users, items), "contrast": 0.5 * contrast}
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def check_behaviour_and_side(model, users, items, user_side, item_side) -> None:
    """Scores and losses of MGCN and SMORE, whose final vectors are behaviour plus side."""
    final_users, final_items = users + user_side, items + item_side
    assert np.allclose(scores(model), final_users @ final_items.T, atol=1e-5)
    contrast = info_nce(user_side, users, BATCH.users, 0.3) + info_nce(item_side, items, BATCH.positives, 0.3)
    expected = {
        "bpr": bpr(final_users, final_items),
        "reg": 0.1 * squared(final_users, final_items),
        "contrast": 0.5 * contrast,
    }
    assert losses(model) == pytest.approx(expected, abs=1e-5)


def test_mgcn():
    model, _ = build("mgcn", DATA, knn_k=2, reg_weight=0.1, cl_weight=0.5, temperature=0.3)
    state = weights(model)
    views = []
    for (name, matrix), graph in zip(DATA.features.items(), raw_graphs(2), strict=True):
        projected = affine(state, f"purifiers.{name}.project", matrix.values)
        views.append(
            graph @ (state["item_embedding"] * sigmoid(affine(state, f"purifiers.{name}.gate", projected)))
        )

    def side(behaviour: np.ndarray, views: list[np.ndarray], has: np.ndarray) -> np.ndarray:
        common = attended(state, views, has)
        total = common.copy()
        for number, name in enumerate(DATA.features):
            gate = sigmoid(affine(state, f"selectors.{name}", behaviour))
            total += has[:, [number]] * (views[number] - common) * gate
        return total / (has.sum(1, keepdims=True) + 1)

    users, items = propagated(adjacency(RATINGS), state, 2)
    user_side = side(users, [TO_USERS @ view for view in views], USER_HAS)
    check_behaviour_and_side(model, users, items, user_side, side(items, views, HAS))


def test_smore():
    model, _ = build(
        "smore", DATA, knn_k=3, modality_knn_k={"text": 2}, n_layers=3, reg_weight=0.1, cl_weight=0.5,
        temperature=0.3, dropout=0.0,
    )  # fmt: skip
    state = weights(model)
    ks = {"image": 3, "text": 2}
    graphs = [
        normalised(knn(m.values.astype(float), m.present, ks[name])) for name, m in DATA.features.items()
    ]
    spectra = [
        np.fft.rfft(affine(state, f"spectra.projections.{name}", m.values), norm="ortho")
        for name, m in DATA.features.items()
    ]
    product = np.prod([np.where(HAS[:, [m]], spectrum, 1) for m, spectrum in enumerate(spectra)], axis=0)
    names = [*DATA.features, "fused"]
    views = []
    for name, graph, spectrum in zip(names, [*graphs, np.maximum(*graphs)], [*spectra, product], strict=True):
        real, imaginary = state[f"spectra.filters.{name}"].T
        content = np.fft.irfft(spectrum * (real + 1j * imaginary), n=16, norm="ortho")
        views.append(graph @ (state["item_embedding"] * sigmoid(affine(state, f"purifiers.{name}", content))))

    def side(behaviour: np.ndarray, views: list[np.ndarray], has: np.ndarray) -> np.ndarray:
        weighed = [
            softmax(
                affine(state, f"preferences.{name}.query",
                       np.tanh(affine(state, f"preferences.{name}.hidden", views[-1])))
            ) * view
            for name, view in zip(DATA.features, views[:-1], strict=True)
        ]  # fmt: skip
        total = sum(
            sigmoid(affine(state, f"selectors.{name}", behaviour)) * view
            for name, view in zip(names, [*weighed, views[-1]], strict=True)
        )
        return total / (has.sum(1, keepdims=True) + has.any(1, keepdims=True))

    users, items = propagated(adjacency(RATINGS), state, 3)
    user_side = side(users, [TO_USERS @ view for view in views], USER_HAS)
    check_behaviour_and_side(model, users, items, user_side, side(items, views, HAS))


def test_smore_drops_preferences_only_in_training():
    model, _ = build("smore", DATA, knn_k=2, dropout=0.5)
    still, _ = build("smore", DATA, knn_k=2, dropout=0.0)
    assert np.array_equal(scores(model), scores(still))
    assert losses(model)["bpr"] != losses(still)["bpr"]
    assert losses(model.eval()) == pytest.approx(losses(still.eval()))


@pytest.mark.parametrize("ks", [{"text": 6}, {"text": 0}, {"audio": 2}])
def test_smore_refuses_neighbours_that_the_graphs_cannot_give(ks):
    with pytest.raises(InputError, match=r"'smore'.*modality_knn_k"):
        build("smore", DATA, knn_k=5, modality_knn_k=ks)


@pytest.mark.parametrize("name", ["lattice", "micro"])
def test_the_graph_is_learned_at_the_first_step_of_an_epoch(name):
    model, _ = build(name, DATA, knn_k=3)
    layers = model.neighbours.layers
    for _ in range(2):
        model.start_epoch()
        for step in range(3):
            model.zero_grad()
            sum(model.loss(BATCH).values()).backward()
            for layer in layers.values():
                assert (layer.weight.grad is not None) == (step == 0)
    assert layers["image"].weight.grad is None
    assert model.item_embedding.grad.abs().sum() > 0


@pytest.mark.parametrize("name", ["lattice", "micro"])
def test_scores_follow_the_projections_as_they_are(name):
    model, _ = build(name, DATA, knn_k=3, original_share=0.0)
    before = scores(model)
    with torch.no_grad():
        model.neighbours.layers["text"].weight.neg_().add_(0.5)
    twin, _ = build(name, DATA, seed=5, knn_k=3, original_share=0.0)
    twin.load_state_dict(model.state_dict())
    assert not np.allclose(scores(model), before)
    assert np.array_equal(scores(model), scores(twin))


@pytest.mark.parametrize("name", MODELS)
def test_a_row_of_zeros_has_no_direction_and_gives_no_nan(name):
    values = DATA.features["image"].values.copy()
    values[[0, 5]] = 0
    image = FeatureMatrix(values, DATA.features["image"].present, "image")
    model, _ = build(name, replace(DATA, features={**DATA.features, "image": image}), knn_k=2)
    terms = model.loss(BATCH)
    sum(terms.values()).backward()
    assert np.isfinite(scores(model)).all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_items_without_any_modality_take_no_part_in_content(name):
    features = {
        modality: FeatureMatrix(matrix.values, matrix.present & (np.arange(N_ITEMS) % 3 > 0), modality)
        for modality, matrix in DATA.features.items()
    }
    model, _ = build(name, replace(DATA, features=features), knn_k=2)
    sum(model.loss(BATCH).values()).backward()
    assert np.isfinite(scores(model)).all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert max(parameter.grad.abs().max() for parameter in model.parameters()) < 100


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest result of any operation held."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, torch.Tensor) and part.layout is torch.strided:
                self.largest = max(self.largest, part.numel())
        return result


@pytest.mark.parametrize("name", MODELS)
def test_nothing_as_large_as_all_pairs_of_items_is_ever_made(name):
    n_users, n_items = 30, 3000
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(0, n_users, 4000), rng.integers(0, n_items, 4000)], axis=1)
    values = rng.normal(size=(n_items, 6)).astype(np.float32)
    train = interactions(pairs, n_users, n_items)
    features = {"image": FeatureMatrix(values, np.ones(n_items, bool), "image")}
    data = TrainingData(train, interactions(np.array([[0, 2]]), n_users, n_items), features)
    users, items = torch.from_numpy(train.users[:50]), torch.from_numpy(train.items[:50])
    with LargestTensor() as seen:
        model, _ = build(name, data)
        sum(model.loss(PairBatch(users, items, items.flip(0))).values()).backward()
        model.scorer()
    assert 0 < seen.largest < n_items**2 / 2


@pytest.mark.parametrize("name", MODELS)
def test_cold_items_are_ranked_by_their_neighbours(name, market):
    task = ranking_task(market.test, [], candidates=np.isin(np.arange(40), COLD_ITEMS))

    def hits(model: str) -> float:
        return float(mean_metric(trained(model, market.data, epochs=40), task, "hit@1"))

    assert hits(name) > 1.5 * hits("lightgcn")
