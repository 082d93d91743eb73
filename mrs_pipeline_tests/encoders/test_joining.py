"""Feature sets side by side, against a computation by hand."""

import numpy as np

from mrs_pipeline.encoders.joining import join
from mrs_pipeline.types import FeatureMatrix


def test_sets_stand_side_by_side_at_one_average_length() -> None:
    short = FeatureMatrix(
        np.array([[3, 4], [0, 0], [0, 5], [1, 1]], np.float16), np.array([1, 0, 1, 1], bool), "a"
    )
    long = FeatureMatrix(np.array([[100], [50], [300], [0]], np.float32), np.array([1, 1, 1, 0], bool), "b")
    joined = join([short, long])
    assert joined.present.tolist() == [True, False, True, False]
    assert joined.name == "a + b" and joined.values.dtype == np.float32
    np.testing.assert_allclose(joined.values, [[0.6, 0.8, 0.5], [0, 0, 0], [0, 1, 1.5], [0, 0, 0]], rtol=1e-6)


def test_one_set_stays_as_it_is() -> None:
    only = FeatureMatrix(np.ones((2, 3), np.float16), np.ones(2, bool))
    assert join([only]) is only


def test_sets_of_no_common_item_are_empty_and_finite() -> None:
    first = FeatureMatrix(np.ones((2, 2), np.float32), np.array([True, False]))
    second = FeatureMatrix(np.ones((2, 2), np.float32), np.array([False, True]))
    joined = join([first, second])
    assert not joined.present.any() and not joined.values.any()
