"""Adjacency, normalisation and nearest neighbours, against dense formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.graphs import (
    DEGREE_EPSILON,
    binary,
    bipartite_graph,
    cosine_neighbours,
    knn_graph,
    mix,
    nearest,
    normalise_rows,
    normalise_symmetric,
    strongest,
    with_self_loops,
)
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.types import FeatureMatrix, SparseGraph

USERS, ITEMS = torch.tensor([2, 0, 0, 1]), torch.tensor([1, 0, 3, 3])


def dense(graph: SparseGraph) -> np.ndarray:
    matrix = np.zeros(graph.shape, dtype=np.float32)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    matrix[rows, graph.indices] = graph.weights
    return matrix


def naive_knn(values: np.ndarray, present: np.ndarray, k: int) -> np.ndarray:
    """Row by row: the item itself, then the others by falling cosine and rising number."""
    norms = np.linalg.norm(values, axis=1)
    usable = [i for i in range(len(values)) if present[i] and norms[i] > 0]
    matrix = np.zeros((len(values), len(values)))
    for i in usable:
        cosine = {j: float(values[i] @ values[j] / norms[i] / norms[j]) for j in usable}
        ranked = sorted(usable, key=lambda j: (j != i, -cosine[j], j))
        for j in ranked[:k]:
            matrix[i, j] = cosine[j]
    return matrix


def test_bipartite_graph_holds_both_directions():
    matrix = bipartite_graph(USERS, ITEMS, 3, 4).tensor().to_dense()
    ratings = torch.zeros(3, 4)
    ratings[USERS, ITEMS] = 1
    assert torch.equal(matrix[:3, 3:], ratings)
    assert torch.equal(matrix, matrix.T)
    assert matrix.sum() == 2 * len(USERS)


def test_a_product_with_normalised_rows_is_the_mean_of_the_neighbours():
    graph = Csr.from_pairs(torch.tensor([0, 0, 2]), torch.tensor([1, 2, 0]), torch.ones(3), (3, 3))
    mean = normalise_rows(graph).tensor().to_dense()
    assert torch.equal(mean, torch.tensor([[0, 0.5, 0.5], [0, 0, 0], [1, 0, 0]]))


def test_symmetric_normalisation_is_the_formula():
    graph = bipartite_graph(USERS, ITEMS, 3, 4)
    matrix = graph.tensor().to_dense().double()
    scale = (matrix.sum(1) + DEGREE_EPSILON) ** -0.5
    expected = scale[:, None] * matrix * scale[None, :]
    assert torch.allclose(normalise_symmetric(graph).tensor().to_dense().double(), expected, atol=1e-6)


def test_binary_neighbours_normalise_to_one_over_k():
    rng = np.random.default_rng(0)
    features = FeatureMatrix(rng.normal(size=(30, 4)).astype(np.float32), np.ones(30, bool))
    graph = to_csr(knn_graph(features, 5))
    assert torch.allclose(normalise_symmetric(binary(graph)).weights, torch.tensor(0.2), atol=1e-6)


def to_csr(graph: SparseGraph) -> Csr:
    return Csr(
        torch.from_numpy(graph.indptr),
        torch.from_numpy(graph.indices),
        torch.from_numpy(graph.weights),
        graph.shape,
    )


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_knn_graph_equals_a_dense_sort(seed, k, block):
    rng = np.random.default_rng(seed)
    # whole numbers on axes: cosines come out exactly, so ties are ties
    values = np.zeros((15, 3), dtype=np.float32)
    values[np.arange(15), rng.integers(0, 3, 15)] = rng.integers(-2, 3, 15)
    present = rng.random(15) > 0.2
    graph = knn_graph(FeatureMatrix(values, present), k, block=block)
    expected = naive_knn(values, present, k)
    assert np.allclose(dense(graph), expected, atol=1e-6)
    neighbours = np.diff(graph.indptr)
    usable = present & (np.abs(values).max(1) > 0)
    assert (neighbours == np.where(usable, min(k, usable.sum()), 0)).all()
    assert all(
        (np.diff(graph.indices[a:b]) > 0).all() for a, b in zip(graph.indptr, graph.indptr[1:], strict=False)
    )


def test_an_item_stays_its_own_neighbour_among_many_twins():
    features = FeatureMatrix(np.full((50, 7), 0.3, dtype=np.float16), np.ones(50, bool))
    matrix = dense(knn_graph(features, 3))
    assert (np.diag(matrix) == 1).all()


@pytest.mark.parametrize("present", [0, 1])
def test_knn_graph_of_nothing_or_one_item(present):
    features = FeatureMatrix(np.ones((4, 2), np.float32), np.arange(4) < present)
    assert dense(knn_graph(features, 3)).sum() == present


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_knn_graph_refuses_what_is_not_finite(bad):
    values = np.ones((4, 2), np.float32)
    values[2, 1] = bad
    with pytest.raises(InputError, match="'text' holds a NaN or infinite value"):
        knn_graph(FeatureMatrix(values, np.ones(4, bool), "text"), 2)
    assert knn_graph(FeatureMatrix(values, np.arange(4) != 2, "text"), 2).indptr.tolist() == [0, 2, 4, 4, 6]


def test_nearest_keeps_the_largest_of_each_row():
    graph = Csr.from_pairs(
        torch.tensor([0, 0, 0, 2, 2]),
        torch.tensor([0, 1, 2, 0, 1]),
        torch.tensor([0.5, 0.9, 0.5, 0.1, 0.2]),
        (3, 3),
    )
    kept = nearest(graph, 2).tensor().to_dense()
    assert torch.allclose(kept, torch.tensor([[0.5, 0.9, 0], [0, 0, 0], [0.1, 0.2, 0]]))


def test_mix_weighs_rows():
    one = Csr.from_pairs(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([1.0, 1.0]), (2, 2))
    two = Csr.from_pairs(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([1.0, 1.0]), (2, 2))
    mixed = mix([one, two], [torch.tensor([0.25, 1.0]), torch.tensor([0.75, 0.0])])
    assert mixed.tensor().to_dense().tolist() == [[0.75, 1.0], [1.0, 0.0]]


def test_self_loops_and_row_sums_of_one():
    graph = Csr.from_pairs(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), torch.ones(3), (3, 3))
    looped = with_self_loops(graph)
    assert looped.tensor().to_dense().tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 1]]
    assert torch.allclose(normalise_rows(looped).tensor().to_dense().sum(1), torch.ones(3))
    assert normalise_rows(graph).tensor().to_dense()[2].tolist() == [0, 0, 0]


def test_strongest_is_the_maximum_over_the_graphs_that_have_the_edge():
    one = Csr.from_pairs(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.2, -1.0]), (2, 2))
    two = Csr.from_pairs(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.3]), (2, 2))
    assert torch.allclose(strongest([one, two]).tensor().to_dense(), torch.tensor([[0.5, 0.3], [-1.0, 0.0]]))


def test_neighbours_do_not_depend_on_the_block():
    unit = torch.nn.functional.normalize(
        torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), dim=1
    )
    columns, cosines = cosine_neighbours(unit, 5)
    assert torch.equal(columns, cosine_neighbours(unit, 5, block=7)[0])
    assert torch.allclose(cosines, (unit @ unit.T).gather(1, columns), atol=1e-6)
