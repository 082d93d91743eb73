import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrs_pipeline.reporting.significance import compare, holm, mean_interval
from scipy.stats import t, ttest_rel

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_interval_is_students_t_and_leaves_out_missing_users():
    values = np.array([0.1, 0.4, 0.2, np.nan, 0.9])
    kept = values[[0, 1, 2, 4]]
    half = t.ppf(0.975, 3) * np.std(kept, ddof=1) / 2
    assert mean_interval(values) == pytest.approx((kept.mean(), kept.mean() - half, kept.mean() + half))


def test_interval_needs_two_users():
    mean, low, high = mean_interval(np.array([0.5]))
    assert mean == 0.5
    assert np.isnan([low, high]).all()


def test_interval_holds_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    draws = [mean_interval(rng.exponential(0.1, 200)) for _ in range(400)]
    covered = np.mean([low <= 0.1 <= high for _, low, high in draws])
    assert 0.91 <= covered <= 0.98


def test_compare_equals_the_library_test():
    rng = np.random.default_rng(1)
    a, b = rng.random(50), rng.random(50)
    expected = ttest_rel(a, b)
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


def test_compare_refuses_unpaired_values():
    with pytest.raises(ValueError, match="differ in length"):
        compare(np.zeros(3), np.zeros(4))


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, made monotone: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_caps_at_one_and_does_not_count_missing_tests():
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    adjusted = holm([float("nan"), 0.02, 0.03])
    assert np.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.04, 0.04])
    assert holm([]) == []


@given(P_VALUES)
def test_holm_never_lowers_keeps_order_and_is_bounded_by_bonferroni(p_values):
    raw, adjusted = np.array(p_values), np.array(holm(p_values))
    assert (adjusted >= raw - 1e-15).all()
    assert (adjusted <= np.minimum(raw * len(raw), 1) + 1e-12).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-15).all()
