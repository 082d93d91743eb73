"""Top-k against a full sort, above all where scores are equal."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mrs_pipeline.functional.ranking import ranks_of, top_k


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(1, 6), st.integers(1, 40)), elements=st.integers(-3, 3)),
    st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_equal_scores_come_in_order_of_columns(scores, k):
    scores = scores.astype(np.float32)
    scores[scores == -3] = -np.inf
    k = min(k, scores.shape[1])
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values, columns = top_k(torch.from_numpy(scores), k)
    assert np.array_equal(columns.numpy(), expected)
    assert np.array_equal(values.numpy(), np.take_along_axis(scores, expected, 1))


def test_wide_rows_with_and_without_ties():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20, 5000)).astype(np.float32)
    scores[10:] = np.round(scores[10:], 1)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :50]
    assert np.array_equal(top_k(torch.from_numpy(scores), 50)[1].numpy(), expected)


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(-3, 3)),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_ranks_are_places_in_a_full_sort(scores, random):
    scores = scores.astype(np.float32)
    scores[scores == -3] = -np.inf
    cells = sorted(random.choices([(r, c) for r in range(len(scores)) for c in range(scores.shape[1])], k=9))
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = [int(np.flatnonzero(order[row] == column)[0]) + 1 for row, column in cells]
    rows, columns = (torch.tensor(part) for part in zip(*cells, strict=True))
    given_scores = torch.from_numpy(scores.copy())
    assert ranks_of(given_scores, rows, columns).tolist() == expected
    assert np.array_equal(given_scores.numpy(), scores)


def test_ranks_of_nothing():
    none = torch.zeros(0, dtype=torch.int64)
    assert ranks_of(torch.zeros(0, 4), none, none).shape == (0,)


def test_a_nan_comes_out_first_even_among_ties():
    values, columns = top_k(torch.tensor([[0.0, 0.0, float("nan"), 0.0]]), 2)
    assert columns.tolist() == [[2, 0]]
    assert values[0, 0].isnan()


def test_scores_are_left_as_they_were():
    scores = torch.tensor([[1.0, 3.0, 3.0, 3.0]])
    top_k(scores, 2)
    assert scores.tolist() == [[1.0, 3.0, 3.0, 3.0]]
