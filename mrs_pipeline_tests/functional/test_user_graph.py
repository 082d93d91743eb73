"""The graph of users who share items, against a dense product."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.functional.user_graph import user_graph
from mrs_pipeline.types import Interactions, SparseGraph
from mrs_pipeline_tests.toy import interactions


def dense(graph: SparseGraph) -> np.ndarray:
    matrix = np.zeros(graph.shape)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    matrix[rows, graph.indices] = graph.weights
    return matrix


def naive(train: Interactions, k: int) -> np.ndarray:
    """Row by row: the others by falling count and rising number."""
    taken = np.zeros((train.n_users, train.n_items))
    taken[train.users, train.items] = 1
    shared = taken @ taken.T
    matrix = np.zeros_like(shared)
    for user in range(train.n_users):
        ranked = sorted((-shared[user, v], v) for v in range(train.n_users) if v != user and shared[user, v])
        for count, other in ranked[:k]:
            matrix[user, other] = -count
    return matrix


@given(
    pairs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=40),
    k=st.integers(1, 9),
    paths=st.sampled_from([1, 5, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_is_the_top_of_the_dense_product_whatever_the_blocks(pairs, k, paths):
    train = interactions(np.array(pairs), 9, 5)
    graph = user_graph(train, k, paths=paths)
    assert np.array_equal(dense(graph), naive(train, k))
    for start, end in zip(graph.indptr[:-1], graph.indptr[1:], strict=True):
        assert (np.diff(graph.indices[start:end]) > 0).all()


def test_a_repeated_interaction_counts_once():
    users, items = np.array([0, 0, 0, 1]), np.array([2, 2, 1, 2])
    assert user_graph(Interactions(users, items, 2, 3), 5).weights.tolist() == [1.0, 1.0]


def test_types_are_those_of_the_other_graphs():
    graph = user_graph(interactions(np.array([[0, 0], [1, 0], [2, 1]]), 4, 2), 2)
    assert (graph.indptr.dtype, graph.indices.dtype, graph.weights.dtype) == (np.int32, np.int32, np.float32)
    assert graph.shape == (4, 4)


@pytest.mark.parametrize("n_users", [0, 3])
def test_nobody_shares_anything(n_users):
    nothing = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), n_users, 2)
    graph = user_graph(nothing, 4)
    assert len(graph.indices) == 0
    assert graph.indptr.tolist() == [0] * (n_users + 1)
