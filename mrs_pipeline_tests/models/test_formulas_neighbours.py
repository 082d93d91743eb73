"""Neighbour models, SLIM and MM-GF against their equations in dense NumPy on a small market."""

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.layers.neighbours import largest
from mrs_pipeline.types import FeatureMatrix, TrainingData
from mrs_pipeline_tests.models.small import DATA, N_ITEMS, N_USERS, RATINGS, ridge_weights, scores, unit
from mrs_pipeline_tests.toy import build, interactions

EXPONENTS = {"one": 0.0, "inverse_root": -0.5, "inverse": -1.0}
ALL = max(N_ITEMS, N_USERS)


def similar(products: np.ndarray, counts: np.ndarray, kind: str, alpha: float, shrink: float) -> np.ndarray:
    """s_ij entry by entry, zero on the diagonal."""
    n = len(products)
    found = np.zeros((n, n))
    for i, j in np.argwhere(~np.eye(n, dtype=bool)):
        own_i, own_j = products[i, i], products[j, j]
        scale = {
            "cosine": np.sqrt(own_i * own_j),
            "asymmetric": own_i ** (1 - alpha) * own_j**alpha,
            "conditional": counts[i] * counts[j] ** alpha,
            "jaccard": own_i + own_j - products[i, j],
        }[kind]
        found[i, j] = products[i, j] / (scale + shrink) if scale + shrink > 0 else 0
    return found


def pruned(similarities: np.ndarray, k: int, side: str) -> np.ndarray:
    """The k largest of each row (`source`) or column (`target`) off the diagonal; ties by number."""
    values = similarities.copy() if side == "source" else similarities.T.copy()
    np.fill_diagonal(values, -np.inf)
    kept = np.zeros_like(values)
    for row, entries in enumerate(values):
        nearest = np.argsort(-entries, kind="stable")[:k]
        kept[row, nearest] = entries[nearest]
    return kept if side == "source" else kept.T


def products_of(ratings: np.ndarray, weighting: str) -> np.ndarray:
    """N [I, I]: what two columns of the ratings share."""
    lengths = ratings.sum(1)
    weights = np.where(lengths > 0, np.maximum(lengths, 1) ** EXPONENTS[weighting], 0)
    return ratings.T @ (weights[:, None] * ratings)


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("weighting", sorted(EXPONENTS))
@pytest.mark.parametrize("kind", ["cosine", "asymmetric", "conditional", "jaccard"])
def test_item_knn(kind, weighting, side):
    settings = {"similarity": kind, "user_weight": weighting, "neighbourhood": side}
    model, _ = build("item_knn", DATA, n_neighbours=2, shrink=0.5, alpha=0.3, **settings)
    found = similar(products_of(RATINGS, weighting), RATINGS.sum(0), kind, 0.3, 0.5)
    assert np.allclose(scores(model), RATINGS @ pruned(found, 2, side), atol=1e-6)


def test_item_knn_as_its_paper_has_it():
    """P(j | i) with rows of unit length: the sum of 1 / |r_u| over the users u of both, over the users of i."""
    model, _ = build("item_knn", DATA, n_neighbours=ALL, shrink=0.0)
    conditional = RATINGS.T @ unit(RATINGS) / np.maximum(RATINGS.sum(0), 1)[:, None]
    np.fill_diagonal(conditional, 0)
    assert np.allclose(scores(model), RATINGS @ conditional, atol=1e-6)


@pytest.mark.parametrize("modality", ["", "text"])
def test_item_knn_by_content(modality):
    model, _ = build("item_knn", DATA, source="content", n_neighbours=2, shrink=0.5, modality=modality)
    chosen = [modality] if modality else sorted(DATA.features)
    vectors = np.concatenate([DATA.features[name].values for name in chosen], 1).astype(float)
    products = vectors @ vectors.T
    found = similar(products, products.diagonal(), "cosine", 0, 0.5)
    assert np.allclose(scores(model), RATINGS @ pruned(found, 2, "source"), atol=1e-5)


def test_item_knn_refuses_a_modality_that_is_not_there():
    with pytest.raises(InputError, match=r"'item_knn' has modality 'audio', but the dataset has features of"):
        build("item_knn", DATA, source="content", modality="audio")


def item_scores(**settings) -> np.ndarray:
    return scores(build("item_knn", DATA, n_neighbours=ALL, shrink=0.0, **settings)[0])


def test_conditional_similarity_with_users_by_their_share_is_a_random_walk():
    """P3alpha and RP3beta (Paudel et al., TiiS 2017): item to user to item, over the end's popularity^beta."""
    counts, lengths = RATINGS.sum(0), RATINGS.sum(1)
    walk = (RATINGS / np.maximum(counts, 1)).T @ (RATINGS / np.maximum(lengths, 1)[:, None])
    assert np.allclose(walk.sum(1), counts > 0)
    np.fill_diagonal(walk, 0)
    assert np.allclose(item_scores(user_weight="inverse"), RATINGS @ walk, atol=1e-6)
    discounted = walk / np.maximum(counts, 1) ** 0.6
    assert np.allclose(item_scores(user_weight="inverse", alpha=0.6), RATINGS @ discounted, atol=1e-6)


def test_asymmetric_similarity_lies_between_two_conditional_ones():
    for weighting in EXPONENTS:
        half = item_scores(similarity="asymmetric", alpha=0.5, user_weight=weighting)
        assert np.allclose(half, item_scores(similarity="cosine", user_weight=weighting), atol=1e-6)
    plain = {"user_weight": "one"}
    towards = item_scores(similarity="asymmetric", alpha=0.0, **plain)
    assert np.allclose(towards, item_scores(similarity="conditional", **plain), atol=1e-6)
    matrices = [
        similar(products_of(RATINGS, "one"), RATINGS.sum(0), "asymmetric", alpha, 0.1) for alpha in (0.2, 0.8)
    ]
    assert np.allclose(matrices[0], matrices[1].T)


def test_an_item_that_nobody_has_taken_scores_zero():
    assert not RATINGS[:, 5].any()
    for kind in ("cosine", "asymmetric", "conditional", "jaccard"):
        assert (item_scores(similarity=kind, alpha=1.0)[:, 5] == 0).all()


@pytest.mark.parametrize("kind", ["cosine", "asymmetric", "conditional", "jaccard"])
def test_user_knn(kind):
    settings = {"similarity": kind, "item_weight": "inverse_root"}
    model, _ = build("user_knn", DATA, n_neighbours=2, shrink=0.5, alpha=0.3, **settings)
    found = similar(products_of(RATINGS.T, "inverse_root"), RATINGS.sum(1), kind, 0.3, 0.5)
    assert np.allclose(scores(model), pruned(found, 2, "target").T @ RATINGS, atol=1e-6)


def test_user_knn_is_item_knn_with_users_and_items_exchanged():
    turned = TrainingData(
        interactions(np.argwhere(RATINGS.T > 0), N_ITEMS, N_USERS),
        interactions(np.zeros((0, 2)), N_ITEMS, N_USERS),
    )
    settings = {"similarity": "cosine", "n_neighbours": ALL, "shrink": 2.0}
    of_users = scores(build("user_knn", DATA, **settings)[0])
    twin, _ = build("item_knn", turned, **settings, user_weight="inverse_root")
    assert np.allclose(of_users, twin.score(torch.arange(N_ITEMS)).numpy().T, atol=1e-6)


def test_blocks_are_what_the_whole_is(monkeypatch):
    values = torch.rand(9, 9, generator=torch.Generator().manual_seed(1))
    whole = largest(lambda rows: values[rows].clone(), 3, values[0])
    monkeypatch.setattr("mrs_pipeline.models.layers.neighbours._SIMILARITIES_AT_ONCE", 18)
    seen = []

    def in_blocks(rows: torch.Tensor) -> torch.Tensor:
        seen.append(len(rows))
        return values[rows].clone()

    parts = largest(in_blocks, 3, values[0])
    assert max(seen) == 2
    assert torch.equal(whole[0], parts[0]) and torch.equal(whole[1], parts[1])


def centred(matrix: FeatureMatrix) -> np.ndarray:
    values = matrix.values.astype(float)
    return (values - values[matrix.present].mean(0)) * matrix.present[:, None]


def test_knn_fusion():
    settings = {"content_weight": 0.3, "user_weight": "inverse", "shrink": 1.0}
    model, _ = build("knn_fusion", DATA, n_neighbours=3, content_neighbours=2, **settings)

    def scaled(matrix: np.ndarray) -> np.ndarray:
        sums = matrix.sum(1)
        return matrix / sums[sums > 0].mean()

    by_users = similar(products_of(RATINGS, "inverse"), RATINGS.sum(0), "conditional", 0, 1.0)
    expected = 0.7 * scaled(pruned(by_users, 3, "source"))
    for matrix in DATA.features.values():
        rows = unit(centred(matrix))
        expected += 0.15 * scaled(np.maximum(pruned(rows @ rows.T, 2, "source"), 0))
    assert np.allclose(scores(model), RATINGS @ expected, atol=1e-5)
    alone, _ = build("knn_fusion", DATA, n_neighbours=3, content_weight=0.0)
    twin, _ = build("item_knn", DATA, n_neighbours=3)
    assert np.allclose(scores(alone) / scores(alone).max(), scores(twin) / scores(twin).max(), atol=1e-6)


def refined(matrix: FeatureMatrix, alpha: float) -> np.ndarray:
    """X~ of MM-GF."""
    rows = matrix.values[matrix.present].astype(float)
    low, middle, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
    rows = (rows - middle) / (high - low)
    rows -= rows.min()
    found = np.zeros(matrix.values.shape)
    found[matrix.present] = np.diag(rows.sum(1) ** -alpha) @ rows @ np.diag(rows.sum(0) ** (alpha - 1))
    return found


@pytest.mark.parametrize(("alpha", "power"), [(0.5, 1.0), (0.89, 0.67)])
def test_mm_gf(alpha, power):
    settings = {"normalisation": alpha, "sharpness": power, "content_weight": 0.4}
    model, _ = build("mm_gf", DATA, n_neighbours=3, **settings)
    users, items = RATINGS.sum(1), np.maximum(RATINGS.sum(0), 1)
    taken = np.diag(np.maximum(users, 1) ** -alpha) @ RATINGS @ np.diag(items ** (alpha - 1))

    def filtered(rows: np.ndarray) -> np.ndarray:
        graph = (rows.T @ rows) ** power
        level = graph.diagonal()[graph.diagonal() > 0].mean()
        return pruned(graph, 3, "source") / level

    expected = filtered(taken) + sum(0.2 * filtered(refined(m, alpha).T) for m in DATA.features.values())
    assert np.allclose(scores(model), RATINGS @ expected, atol=1e-5)


def test_mm_gf_sees_neither_where_a_column_starts_nor_its_scale():
    moved = {
        name: FeatureMatrix(
            (matrix.values * np.arange(1, matrix.values.shape[1] + 1) + 7) * matrix.present[:, None],
            matrix.present,
            name,
        )
        for name, matrix in DATA.features.items()
    }
    plain, _ = build("mm_gf", DATA, n_neighbours=ALL)
    twin, _ = build("mm_gf", TrainingData(DATA.train, DATA.valid, moved), n_neighbours=ALL)
    assert np.allclose(scores(plain), scores(twin), atol=1e-4)


def slim_weights(model) -> np.ndarray:
    found = np.zeros((N_ITEMS, N_ITEMS))
    for item, (rows, values) in enumerate(
        zip(model.neighbours.numpy(), model.similarities.numpy(), strict=True)
    ):
        found[rows, item] = values
    return found


@pytest.mark.parametrize("content_weight", [0.0, 0.6])
def test_slim_meets_the_conditions_of_its_optimum(content_weight):
    l1, l2 = 0.2, 0.5
    model, _ = build("slim", DATA, l1_weight=l1, l2_weight=l2, content_weight=content_weight)
    content = unit(np.concatenate([m.values for m in DATA.features.values()], 1).astype(float))
    gram = RATINGS.T @ RATINGS + content_weight * content @ content.T
    found = slim_weights(model)
    assert (found >= 0).all() and not found.diagonal().any()
    assert 0 < (found > 0).sum() < found.size - N_ITEMS
    slope = gram - gram @ found - l2 * found - l1
    for row, column in np.argwhere(~np.eye(N_ITEMS, dtype=bool)):
        if found[row, column] > 0:
            assert slope[row, column] == pytest.approx(0, abs=1e-5)
        else:
            assert slope[row, column] <= 1e-5
    assert np.allclose(scores(model), RATINGS @ found, atol=1e-6)


def test_slim_keeps_to_its_candidates():
    model, _ = build("slim", DATA, l1_weight=0.0, l2_weight=0.5, n_candidates=2)
    gram = RATINGS.T @ RATINGS
    found = slim_weights(model)
    for item in range(N_ITEMS):
        rows = np.flatnonzero(pruned(gram, 2, "target")[:, item])
        inside = gram[np.ix_(rows, rows)] + 0.5 * np.eye(len(rows))
        expected = np.linalg.solve(inside, gram[rows, item])
        if (expected >= 0).all():
            assert np.allclose(found[rows, item], expected, atol=1e-5)
    assert (found > 0).sum(0).max() == 2


def test_slim_without_sign_or_sparsity_is_ease():
    """Where no weight of EASE is negative, as between two items, the two are the same regression."""
    pair = TrainingData(
        interactions(np.array([[0, 0], [0, 1], [1, 0], [2, 1], [3, 0], [3, 1]]), 4, 2),
        interactions(np.zeros((0, 2)), 4, 2),
    )
    model, _ = build("slim", pair, l1_weight=0.0, l2_weight=0.7)
    ratings = np.array([[1, 1], [1, 0], [0, 1], [1, 1]])
    expected = ratings @ ridge_weights(ratings.T @ ratings, 0.7)
    assert np.allclose(model.score(torch.arange(4)).numpy(), expected, atol=1e-6)


def test_slim_refuses_content_that_is_not_there():
    with pytest.raises(InputError, match=r"'slim' with a content_weight needs item features"):
        build("slim", TrainingData(DATA.train, DATA.valid), content_weight=1.0)
