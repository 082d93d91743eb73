"""Strategies for missing modalities against computations by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrs_pipeline.encoders import missing
from mrs_pipeline.encoders.missing import fill_from_neighbours, fill_mean, fill_zero, propagate
from mrs_pipeline.types import FeatureMatrix, Interactions


def features(rows, present=None):
    values = np.array(rows, dtype=np.float32)
    return FeatureMatrix(values, np.ones(len(rows), bool) if present is None else np.array(present, bool))


def pairs(*edges, users, items):
    edges = sorted(edges)
    return Interactions(np.array([u for u, _ in edges]), np.array([i for _, i in edges]), users, items)


PARTLY = features([[1, 2], [9, 9], [3, 4]], [True, False, True])


def test_zero_hides_what_lies_in_missing_rows():
    done = fill_zero(PARTLY)
    assert done.values.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert done.usable.tolist() == done.observed.tolist() == [True, False, True]


def test_mean_is_of_observed_rows():
    done = fill_mean(PARTLY)
    assert done.values.tolist() == [[1, 2], [2, 3], [3, 4]]
    assert done.usable.all()
    assert done.observed.tolist() == [True, False, True]


def test_mean_of_float16_does_not_overflow():
    large = FeatureMatrix(np.full((100, 2), 6e4, dtype=np.float16), np.arange(100) < 99)
    assert np.allclose(fill_mean(large).values, 6e4, rtol=1e-3)


def test_neighbours_by_the_other_modality():
    image = features([[1, 0], [0, 8], [4, 0], [7, 7], [7, 7]], [True, True, True, False, False])
    text = features([[1, 0], [0, 1], [1, 1], [2, 0.0], [5, 5]], [True, True, True, True, False])
    done = fill_from_neighbours(image, text, knn_k=2)
    weight = np.sqrt(0.5)  # cosine of item 3 with item 2; with item 0 it is 1
    assert np.allclose(done.values[3], (np.array([1, 0]) + weight * np.array([4, 0])) / (1 + weight))
    assert done.usable.tolist() == [True, True, True, True, False]
    assert not done.values[4].any()


def test_items_without_a_near_neighbour_stay_unusable():
    done = fill_from_neighbours(features([[1.0], [0]], [True, False]), features([[1.0, 0], [-1, 0]]), knn_k=5)
    assert done.usable.tolist() == [True, False]


def test_zero_rows_in_the_other_modality_give_no_nan():
    done = fill_from_neighbours(features([[1.0], [2], [0]], [True, True, False]), features([[0.0], [0], [0]]))
    assert np.isfinite(done.values).all()
    assert done.usable.tolist() == [True, True, False]


def test_neighbours_do_not_depend_on_the_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    image = FeatureMatrix(rng.normal(size=(60, 3)).astype(np.float32), rng.random(60) < 0.5)
    text = FeatureMatrix(rng.normal(size=(60, 4)).astype(np.float32), rng.random(60) < 0.8)
    whole = fill_from_neighbours(image, text, knn_k=3)
    monkeypatch.setattr(missing, "_BLOCK_CELLS", 1)
    assert np.allclose(whole.values, fill_from_neighbours(image, text, knn_k=3).values, atol=1e-6)


def test_propagation_step_by_hand():
    """User 0 has items 0, 1; user 1 has items 1, 2. Item 1 is missing and hears both; item 3 hears nobody."""
    known = features([[2.0], [0], [6], [0]], [True, False, True, False])
    done = propagate(known, pairs((0, 0), (0, 1), (1, 1), (1, 2), users=2, items=4), n_iterations=1)
    assert done.values[:, 0].tolist() == [2, 4, 6, 0]
    assert done.usable.tolist() == [True, True, True, False]


def test_propagation_reaches_further_with_each_step():
    chain = pairs(*((u, u) for u in range(3)), *((u, u + 1) for u in range(3)), users=3, items=4)
    known = features([[5.0], [0], [0], [0]], [True, False, False, False])
    assert [propagate(known, chain, n).usable.sum() for n in (0, 1, 2, 3)] == [1, 2, 3, 4]
    assert np.allclose(propagate(known, chain, 3).values, 5)


def test_propagation_equals_the_naive_iteration(monkeypatch):
    monkeypatch.setattr(missing, "_BLOCK_COLUMNS", 2)
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((8, 12)) < 0.3)
    known = FeatureMatrix(rng.normal(size=(12, 5)).astype(np.float32), rng.random(12) < 0.6)
    graph = np.zeros((8, 12))
    graph[users, items] = 1
    walk = (graph.T / np.maximum(graph.sum(0), 1)[:, None]) @ (graph / np.maximum(graph.sum(1), 1)[:, None])
    x = np.where(known.present[:, None], np.c_[known.values, np.ones(12)], 0)
    for _ in range(4):
        x = np.where(known.present[:, None], x, walk @ x)
    done = propagate(known, Interactions(users, items, 8, 12), n_iterations=4)
    expected = x[:, :5] / np.where(x[:, 5:] > 0, x[:, 5:], 1)
    assert np.allclose(done.values, expected, atol=1e-5)
    assert (done.usable == (x[:, 5] > 0)).all()


def test_repeated_pairs_count_once():
    known = features([[2.0], [0], [6]], [True, False, True])
    once = pairs((0, 0), (0, 1), (0, 2), users=1, items=3)
    twice = pairs((0, 0), (0, 0), (0, 1), (0, 2), users=1, items=3)
    assert np.allclose(propagate(known, once, 2).values, propagate(known, twice, 2).values)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_filled_rows_stay_within_the_observed_ones(seed, n_iterations):
    rng = np.random.default_rng(seed)
    known = FeatureMatrix(rng.normal(size=(9, 3)).astype(np.float32), rng.random(9) < 0.5)
    users, items = np.nonzero(rng.random((5, 9)) < 0.4)
    strategies = [
        fill_zero(known),
        fill_mean(known),
        fill_from_neighbours(known, FeatureMatrix(rng.normal(size=(9, 2)), rng.random(9) < 0.7), knn_k=3),
        propagate(known, Interactions(users, items, 5, 9), n_iterations),
    ]
    for done in strategies:
        assert (done.observed == known.present).all()
        assert np.array_equal(done.values[known.present], known.values[known.present])
        assert (done.usable | ~known.present).all()
        assert not done.values[~done.usable].any()
        filled = done.values[done.usable & ~known.present]
        if len(filled):
            low, high = known.values[known.present].min(0), known.values[known.present].max(0)
            assert ((filled >= low - 1e-4) & (filled <= high + 1e-4)).all()


def test_all_missing_gives_no_numbers_from_nowhere():
    nothing = features([[1.0], [2]], [False, False])
    others = [fill_mean(nothing), fill_from_neighbours(nothing, features([[1.0], [1]]))]
    others.append(propagate(nothing, pairs((0, 0), (0, 1), users=1, items=2)))
    for done in others:
        assert not done.usable.any()
        assert not done.values.any()


def test_models_see_usable_rows_as_present():
    assert fill_mean(PARTLY).as_features("text").present.all()
    assert fill_zero(PARTLY).as_features("text").name == "text"


@pytest.mark.parametrize("knn_k", [1, 100])
def test_more_neighbours_than_items(knn_k):
    assert fill_from_neighbours(PARTLY, features([[1.0], [1], [1]]), knn_k=knn_k).usable.all()
