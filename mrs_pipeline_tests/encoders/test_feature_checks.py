"""Every number of the summary with the fault that must move it; the signal test with and without a signal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mrs_pipeline.encoders import diagnostics as checks
from mrs_pipeline.encoders.diagnostics import (
    effective_rank,
    signal_test,
    spectrum,
    summarise_features,
    unit_vectors,
)
from mrs_pipeline.types import FeatureMatrix, Interactions

RNG = np.random.default_rng(7)
GOOD = RNG.normal(size=(300, 8)).astype(np.float32)
ALL = np.ones(300, dtype=bool)


def planted(change):
    values, present = GOOD.copy(), ALL.copy()
    change(values, present)
    return summarise_features(values, present)


def test_a_good_set_is_within_every_threshold():
    good = summarise_features(GOOD, ALL, FeatureMatrix(GOOD + np.float32(0), ALL))
    assert (good.items, good.present, good.mask_rows, good.dimensions, good.coverage) == (
        300,
        300,
        300,
        8,
        1.0,
    )
    assert (good.nonfinite_rows, good.unmasked_rows, good.constant_dimensions) == (0, 0, 0)
    assert good.duplicate_share == 0
    assert good.effective_rank > 7.5 > checks.MIN_EFFECTIVE_RANK
    assert good.mean_cosine < checks.MAX_MEAN_COSINE
    assert good.norm_max / good.norm_min < checks.MAX_NORM_SPREAD
    assert good.drift_cosine == pytest.approx(1)
    assert good.drift_norm == pytest.approx(0)


def test_planted_not_finite():
    def change(values, present):
        values[3, 2], values[9, 0] = np.nan, np.inf

    summary = planted(change)
    assert summary.nonfinite_rows == 2
    assert np.isfinite([v for v in summary.to_row().values() if v is not None]).all()


def test_planted_missing_rows_and_a_missing_row_that_is_not_zero():
    def change(values, present):
        present[:297] = False
        values[1:297] = 0

    summary = planted(change)
    assert summary.coverage == pytest.approx(0.01)
    assert summary.coverage < checks.MIN_COVERAGE
    assert summary.unmasked_rows == 1


def test_planted_short_mask():
    assert summarise_features(GOOD, ALL[:10]).mask_rows == 10


def test_planted_constant_dimensions():
    assert (
        planted(lambda values, present: values.__setitem__((slice(None), slice(5)), 3)).constant_dimensions
        == 5
    )


def test_planted_duplicates():
    summary = planted(lambda values, present: values.__setitem__(slice(100, 200), values[0]))
    assert summary.duplicate_share == pytest.approx(100 / 300)
    assert summary.duplicate_share > checks.MAX_DUPLICATE_SHARE


def test_planted_collapse_to_a_line():
    def change(values, present):
        values[:] = np.outer(values[:, 0], np.arange(8))

    rank = planted(change).effective_rank
    assert rank == pytest.approx(1, abs=0.01)
    assert rank < checks.MIN_EFFECTIVE_RANK


def test_planted_collapse_to_a_point():
    def change(values, present):
        values[:] = 1 + values * 1e-3

    assert planted(change).mean_cosine > checks.MAX_MEAN_COSINE


def test_planted_norm_outlier():
    summary = planted(lambda values, present: values.__setitem__(0, 1e4))
    assert summary.norm_max / summary.norm_min > checks.MAX_NORM_SPREAD
    assert summary.norm_std > summary.norm_mean


def test_planted_drift():
    shifted = GOOD + np.float32(5)
    summary = summarise_features(shifted, ALL, FeatureMatrix(-shifted, ALL))
    assert summary.drift_cosine == pytest.approx(-1)
    assert summary.drift_cosine < checks.MIN_DRIFT_COSINE
    summary = summarise_features(GOOD, ALL, FeatureMatrix(GOOD * 2, ALL))
    assert summary.drift_norm == pytest.approx(0.5)
    assert summary.drift_norm > checks.MAX_NORM_SHIFT


def test_drift_needs_a_previous_version_of_equal_width():
    assert summarise_features(GOOD, ALL, FeatureMatrix(GOOD[:, :4], ALL)).drift_cosine is None


def test_moments_do_not_depend_on_the_blocks(monkeypatch):
    whole = summarise_features(GOOD, ALL)
    monkeypatch.setattr(checks, "BLOCK_ROWS", 7)
    for name, value in summarise_features(GOOD, ALL).to_row().items():
        assert value == pytest.approx(whole.to_row()[name]), name
    norms = np.linalg.norm(GOOD, axis=1)
    assert (whole.norm_mean, whole.norm_std) == pytest.approx((norms.mean(), norms.std()), rel=1e-5)


def test_float16_does_not_overflow_when_summed():
    large = np.full((300, 64), 6e4, dtype=np.float16)
    assert summarise_features(large, ALL).norm_mean == pytest.approx(8 * 6e4, rel=1e-3)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tiny_sets_give_numbers(rows):
    present = np.arange(300) < rows
    summary = summarise_features(np.where(present[:, None], GOOD, 0), present)
    assert np.isfinite([v for v in summary.to_row().values() if v is not None]).all()


def test_effective_rank_is_the_number_of_equal_directions():
    axes = np.vstack([np.eye(6), -np.eye(6)]).astype(np.float32)
    assert effective_rank(axes) == pytest.approx(6)
    assert effective_rank(np.ones((5, 3), dtype=np.float32)) == 0


def test_the_spectrum_is_of_shares():
    shares = spectrum(GOOD, ALL)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 0).all()


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.integers(1, 5)),
        elements=st.sampled_from([0, 1, -0.0, 2]),
    )
)
def test_duplicates_are_those_of_a_naive_count(values):
    present = np.ones(len(values), dtype=bool)
    naive = len(values) - len({tuple((row + 0.0).tolist()) for row in values})
    assert summarise_features(values, present).duplicate_share == pytest.approx(naive / len(values))


def test_unit_rows_leave_zero_rows_zero():
    unit = unit_vectors(np.array([[3, 4], [0, 0]]))
    assert np.allclose(unit, [[0.6, 0.8], [0, 0]])


@pytest.fixture(scope="module")
def tastes():
    """Two tastes: users 0-29 take items of their own half only; vectors know the half."""
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(30), 6)
    items = np.concatenate([rng.choice(50, 6, replace=False) + 50 * (user % 2) for user in range(30)])
    values = rng.normal(size=(100, 16)).astype(np.float32)
    values[:50, 0] += 3
    return Interactions(users, items, 30, 100), values


def test_a_planted_signal_is_found_and_a_shuffled_one_is_not(tastes):
    interactions, values = tastes
    present = np.ones(100, dtype=bool)
    found = signal_test(values, present, interactions)
    assert found.z > 2 * checks.MIN_SIGNAL_Z
    assert found.observed > max(found.shuffled)
    misaligned = values[np.random.default_rng(5).permutation(100)]
    assert abs(signal_test(misaligned, present, interactions).z) < checks.MIN_SIGNAL_Z


def test_popularity_alone_is_no_signal():
    rng = np.random.default_rng(0)
    items = np.concatenate(
        [np.sort(rng.choice(40, 5, replace=False, p=np.r_[[0.1] * 5, [0.5 / 35] * 35])) for _ in range(80)]
    )
    interactions = Interactions(np.repeat(np.arange(80), 5), items, 80, 40)
    zs = [signal_test(rng.normal(size=(40, 8)), np.ones(40, bool), interactions).z for _ in range(8)]
    assert abs(np.mean(zs)) < 2


def test_pairs_are_of_one_user_and_of_present_items(tastes):
    interactions, _ = tastes
    present = np.arange(100) % 3 != 0
    first, second = checks._pairs(interactions, present, np.random.default_rng(0))
    both = set(zip(interactions.users.tolist(), interactions.items.tolist(), strict=True))
    assert len(first) > 50
    assert present[first].all() and present[second].all() and (first != second).all()
    for left, right in zip(first.tolist(), second.tolist(), strict=True):
        assert any({(user, left), (user, right)} <= both for user in range(30))


def test_without_pairs_there_is_no_z():
    lonely = Interactions(np.arange(3), np.arange(3), 3, 3)
    assert np.isnan(signal_test(np.eye(3), np.ones(3, bool), lonely).z)
