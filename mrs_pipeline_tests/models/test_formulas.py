"""Each model against its equation, written down again in dense NumPy on a small market."""

import numpy as np
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.fitting import prepare
from mrs_pipeline_tests.models.small import (
    BATCH,
    DATA,
    N_ITEMS,
    N_USERS,
    PAIRS,
    RATINGS,
    adjacency,
    bpr,
    losses,
    norms,
    propagated,
    ridge_weights,
    scores,
    weights,
)
from mrs_pipeline_tests.toy import build, small_config


def test_most_pop_counts():
    model, _ = build("most_pop", DATA)
    assert np.array_equal(scores(model), np.tile(RATINGS.sum(0), (N_USERS, 1)))


def test_bpr_mf():
    model, _ = build("bpr_mf", DATA, reg_weight=0.1)
    state = weights(model)
    assert np.allclose(scores(model), state["user_embedding"] @ state["item_embedding"].T, atol=1e-6)
    expected = {
        "bpr": bpr(state["user_embedding"], state["item_embedding"]),
        "reg": 0.1 * norms(state["user_embedding"], state["item_embedding"]),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_lightgcn(n_layers):
    model, _ = build("lightgcn", DATA, n_layers=n_layers, reg_weight=0.1)
    state = weights(model)
    users, items = propagated(adjacency(RATINGS), state, n_layers)
    assert np.allclose(scores(model), users @ items.T, atol=1e-6)
    expected = {
        "bpr": bpr(users, items),
        "reg": 0.1 * norms(state["user_embedding"], state["item_embedding"]),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def test_identifiers_that_training_never_saw_are_zero():
    state = weights(build("lightgcn", DATA)[0])
    assert (state["item_embedding"][5] == 0).all()
    assert (np.abs(state["item_embedding"][:5]).max(1) > 0).all()


def test_vbpr_sums_projections_and_learns_a_vector_for_a_missing_modality():
    model, _ = build("vbpr", DATA, reg_weight=0.1)
    state = weights(model)
    content = np.zeros((N_ITEMS, 16))
    for name, matrix in DATA.features.items():
        rows = (
            matrix.values @ state[f"projection.layers.{name}.weight"].T
            + state[f"projection.layers.{name}.bias"]
        )
        rows[~matrix.present] = state[f"projection.missing.{name}"]
        content += rows
    assert np.abs(state["projection.missing.image"]).min() > 0
    items = np.concatenate([state["item_embedding"], content], axis=1)
    assert np.allclose(scores(model), state["user_embedding"] @ items.T, atol=1e-6)
    expected = {
        "bpr": bpr(state["user_embedding"], items),
        "reg": 0.1 * norms(state["user_embedding"], items),
    }
    assert losses(model) == pytest.approx(expected, abs=1e-6)


def freedom_item_graph(k: int, shares: dict[str, float]) -> np.ndarray:
    graph, total = np.zeros((N_ITEMS, N_ITEMS)), np.zeros((N_ITEMS, 1))
    for name, matrix in DATA.features.items():
        norm = np.linalg.norm(matrix.values, axis=1, keepdims=True)
        cosine = matrix.values @ matrix.values.T / np.maximum(norm * norm.T, 1e-12)
        cosine[:, ~matrix.present] = -np.inf
        for item in np.flatnonzero(matrix.present):
            graph[item, np.argsort(-cosine[item], kind="stable")[:k]] += shares[name] / k
            total[item] += shares[name]
    return graph / total


def test_freedom():
    model, _ = build("freedom", DATA, knn_k=2, dropout=0.0, reg_weight=0.5)
    state = weights(model)
    users, items = propagated(adjacency(RATINGS), state, 2)
    items = items + freedom_item_graph(2, {"image": 0.1, "text": 0.9}) @ state["item_embedding"]
    assert np.allclose(scores(model), users @ items.T, atol=1e-5)
    found = losses(model)
    assert found["bpr"] == pytest.approx(bpr(users, items), abs=1e-6)
    for name, matrix in DATA.features.items():
        content = matrix.values @ state[f"projections.{name}.weight"].T
        usable = matrix.present[BATCH.positives] & matrix.present[BATCH.negatives]
        gap = (users[BATCH.users] * (content[BATCH.positives] - content[BATCH.negatives])).sum(1)[usable]
        assert 0 < usable.sum() < len(usable)
        assert found[f"bpr_{name}"] == pytest.approx(0.5 * np.mean(np.log1p(np.exp(-gap))), abs=1e-6)


def test_freedom_takes_the_weights_it_is_given():
    model, _ = build("freedom", DATA, knn_k=2, modality_weights={"image": 0.6, "text": 0.2})
    expected = freedom_item_graph(2, {"image": 0.6, "text": 0.2})
    assert np.allclose(model._item_graph.matrix.to_dense().numpy(), expected, atol=1e-6)


def test_freedom_refuses_weights_of_other_modalities():
    with pytest.raises(InputError, match=r"modality_weights.*'audio' does not fit"):
        build("freedom", DATA, modality_weights={"image": 0.5, "text": 0.4, "audio": 0.1})


def test_freedom_refuses_a_graph_with_too_few_neighbours():
    narrow = prepare(DATA, "freedom", small_config("freedom", knn_k=2))
    with pytest.raises(
        InputError, match=r"knn_k 3 but the item graph of modality 'image' holds 2 neighbours"
    ):
        build("freedom", narrow, knn_k=3)
    wide = prepare(DATA, "freedom", small_config("freedom", knn_k=4))
    assert np.allclose(
        build("freedom", wide, knn_k=2)[0]._item_graph.matrix.to_dense(),
        build("freedom", narrow, knn_k=2)[0]._item_graph.matrix.to_dense(),
    )


def test_freedom_prunes_edges_between_popular_ends_and_normalises_anew():
    model, _ = build("freedom", DATA, dropout=0.5)
    degrees = RATINGS.sum(1)[PAIRS[:, 0]] * RATINGS.sum(0)[PAIRS[:, 1]]
    kept = np.zeros((N_USERS, N_ITEMS))
    rounds = 400
    for _ in range(rounds):
        model.start_epoch()
        pruned = model._pruned.matrix.to_dense().numpy()
        edges = (pruned[:N_USERS, N_USERS:] > 0).astype(float)
        assert edges.sum() == int(0.5 * len(PAIRS))
        assert np.allclose(pruned, adjacency(edges), atol=1e-6)
        kept += edges / rounds
    share = kept[PAIRS[:, 0], PAIRS[:, 1]]
    assert share[degrees == degrees.min()].mean() > share[degrees == degrees.max()].mean() + 0.1
    assert np.allclose(
        model.representations()[0].detach(), propagated(adjacency(RATINGS), weights(model), 2)[0], atol=1e-6
    )


def test_ease():
    model, _ = build("ease", DATA, reg_weight=2.0)
    assert np.allclose(scores(model), RATINGS @ ridge_weights(RATINGS.T @ RATINGS, 2.0), atol=1e-5)


def test_ease_refuses_a_catalogue_that_does_not_fit():
    with pytest.raises(InputError, match=r"'ease' would need about 0\.0 GB for 6 items.*memory_limit_gb"):
        build("ease", DATA, memory_limit_gb=1e-9)
