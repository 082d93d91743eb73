"""Intervals, paired tests and their correction, against SciPy, tables and the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mrs_pipeline.statistics import Comparison, Interval, compare, holm, mean_interval

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 30])
def test_interval_is_students_t_with_one_degree_less_than_values(n):
    values = np.random.default_rng(n).random(n)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.706), (3, 4.303), (6, 2.571), (11, 2.228)])
def test_interval_by_the_printed_table(n, quantile):
    values = np.arange(n, dtype=float)
    half = quantile * np.sqrt(sum((value - values.mean()) ** 2 for value in values) / (n - 1) / n)
    found = mean_interval(values)
    assert found.high - found.mean == pytest.approx(half, rel=1e-3)
    assert found.mean - found.low == pytest.approx(half, rel=1e-3)


def test_interval_leaves_out_missing_users():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    assert mean_interval(np.array([0.1, np.nan, 0.4, 0.2, np.nan, 0.9])) == mean_interval(values)


def test_one_value_has_a_mean_and_no_interval():
    assert mean_interval(np.array([0.5])) == Interval(0.5, None, None)
    assert mean_interval(np.array([0.5, np.nan])) == Interval(0.5, None, None)
    assert mean_interval(np.array([])) == Interval(None, None, None)
    assert mean_interval(np.array([np.nan])) == Interval(None, None, None)


def test_equal_values_have_an_interval_without_width():
    assert mean_interval(np.full(3, 0.25)) == Interval(0.25, 0.25, 0.25)


def test_values_of_users_are_summed_exactly():
    values = np.full(1_000_000, 0.1, np.float32)
    values[::2] = 0.3
    assert mean_interval(values).mean == pytest.approx(0.2, abs=1e-7)


def test_interval_holds_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    draws = [mean_interval(rng.exponential(0.1, 200)) for _ in range(400)]
    covered = np.mean([draw.low <= 0.1 <= draw.high for draw in draws])
    assert 0.91 <= covered <= 0.98


def test_compare_equals_the_library_test():
    rng = np.random.default_rng(1)
    a, b = rng.random(50), rng.random(50)
    expected = stats.ttest_rel(a, b)
    found = compare(a, b)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.difference == pytest.approx(a.mean() - b.mean())


def test_compare_pairs_users_and_so_sees_a_small_steady_gain():
    taste = np.random.default_rng(2).random(100)
    gain = np.random.default_rng(3).normal(0.01, 0.005, 100)
    assert compare(taste + gain, taste).p < 0.001
    assert compare(np.random.default_rng(4).permutation(taste + gain), taste).p > 0.05


def test_compare_of_equal_and_of_shifted_lists():
    values = np.array([0.5, 0.25, 1.0])  # exact in binary, so that the shift is exact too
    assert compare(values, values).p == 1.0
    assert compare(values + 0.5, values).p == 0.0


@pytest.mark.parametrize("n", [2, 3, 5])
def test_compare_of_few_users(n):
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    expected = stats.ttest_rel(a, b)
    found = compare(np.append(a, np.nan), np.append(b, 0.5))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.n_users == n


def test_one_common_user_is_no_test():
    assert compare(np.array([0.75, np.nan]), np.array([0.5, 0.5])) == Comparison(0.25, None, None, None, 1)
    assert compare(np.array([np.nan]), np.array([0.5])) == Comparison(None, None, None, None, 0)


def test_compare_refuses_unpaired_values():
    with pytest.raises(ValueError, match="differ in length"):
        compare(np.zeros(3), np.zeros(4))


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, made monotone: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_caps_at_one_and_does_not_count_missing_tests():
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None, 0.02, 0.03]) == [None, pytest.approx(0.04), pytest.approx(0.04)]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_agrees_with_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(5).random(20) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


@given(P_VALUES)
def test_holm_never_lowers_keeps_order_and_is_bounded_by_bonferroni(p_values):
    raw, adjusted = np.array(p_values), np.array(holm(p_values))
    assert (adjusted >= raw - 1e-15).all()
    assert (adjusted <= np.minimum(raw * len(raw), 1) + 1e-12).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-15).all()
