"""Intervals over users and seeds, paired tests, families of them: against SciPy, tables, formulas and simulation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from mrs_pipeline.statistics import (
    ALPHA,
    CONFIDENCE,
    Comparison,
    Difference,
    Interval,
    Sample,
    against_figure,
    compare,
    interval,
    judged,
)

VALUES = st.floats(0, 1, width=32)
GRIDS = st.tuples(st.integers(1, 4), st.integers(2, 9)).flatmap(
    lambda shape: st.lists(
        st.lists(VALUES, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)
"""[S, U] values of users with each seed."""


def sample(grid: np.ndarray) -> Sample:
    """Of values [S, U], rows of which come in any order."""
    grid = np.asarray(grid, np.float64)
    seeds, users = (each.ravel() for each in np.indices(grid.shape))
    order = np.random.default_rng(0).permutation(grid.size)
    return Sample.of(users[order], seeds[order], grid.ravel()[order])


def paired(one: Sample, other: Sample) -> Comparison:
    (found,) = judged([compare(one, other)])
    assert found is not None
    return found


def drawn(rng, n_users, n_seeds, user, seed, rest, mean=0.0) -> np.ndarray:
    """[S, U] from the model that intervals assume."""
    users, seeds = rng.normal(0, user, n_users), rng.normal(0, seed, (n_seeds, 1))
    return mean + users + seeds + rng.normal(0, rest, (n_seeds, n_users))


@pytest.mark.parametrize("n", [2, 3, 4, 7, 30])
def test_interval_of_one_seed_is_students_t_with_one_degree_less_than_users(n):
    values = np.random.default_rng(n).random(n)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = interval(Sample.of_users(values))
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.706), (3, 4.303), (6, 2.571), (11, 2.228)])
def test_interval_by_the_printed_table(n, quantile):
    values = np.arange(n, dtype=float)
    half = quantile * np.sqrt(sum((value - values.mean()) ** 2 for value in values) / (n - 1) / n)
    found = interval(Sample.of_users(values))
    assert found.high - found.mean == pytest.approx(half, rel=1e-3)
    assert found.mean - found.low == pytest.approx(half, rel=1e-3)


def test_interval_over_seeds_is_that_of_the_two_way_analysis_of_variance():
    grid = drawn(np.random.default_rng(1), 40, 3, user=1, seed=0.4, rest=0.5)
    (s, u), mean = grid.shape, grid.mean()
    by_user, by_seed = grid.mean(0), grid.mean(1)
    ms_user = s * sum((each - mean) ** 2 for each in by_user) / (u - 1)
    ms_seed = u * sum((each - mean) ** 2 for each in by_seed) / (s - 1)
    rest = [(grid[i, j] - by_user[j] - by_seed[i] + mean) ** 2 for i in range(s) for j in range(u)]
    ms_rest = sum(rest) / ((s - 1) * (u - 1))
    variance = (ms_user + ms_seed - ms_rest) / (s * u)
    freedom = (variance * s * u) ** 2 / (ms_user**2 / (u - 1) + ms_seed**2 / (s - 1))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    found = interval(sample(grid))
    assert (found.mean, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))


def test_three_seeds_that_disagree_hold_the_truth_in_95_of_100_and_users_alone_do_not():
    rng = np.random.default_rng(2)
    both, alone = 0, 0
    for _ in range(600):
        grid = drawn(rng, 200, 3, user=0.2, seed=0.03, rest=0.1, mean=0.3)
        for_all, for_users = interval(sample(grid)), interval(Sample.of_users(grid.mean(0)))
        both += for_all.low <= 0.3 <= for_all.high
        alone += for_users.low <= 0.3 <= for_users.high
    assert 0.92 <= both / 600 <= 0.98
    assert alone / 600 < 0.8


def test_seeds_that_agree_leave_the_interval_over_users():
    rng = np.random.default_rng(3)
    covered, ratio = 0, []
    for _ in range(300):
        grid = drawn(rng, 200, 3, user=0.2, seed=0, rest=0.1)
        for_all, for_users = interval(sample(grid)), interval(Sample.of_users(grid.mean(0)))
        covered += for_all.low <= 0 <= for_all.high
        ratio.append((for_all.high - for_all.low) / (for_users.high - for_users.low))
    assert 0.92 <= covered / 300 <= 0.98
    assert np.median(ratio) < 1.02


def test_equal_models_whose_seeds_disagree_are_told_apart_in_5_of_100_not_in_half():
    rng = np.random.default_rng(4)
    both, alone = 0, 0
    for _ in range(400):
        users = rng.normal(0, 0.2, 150)
        one, other = (users + drawn(rng, 150, 3, 0.02, 0.02, 0.1) for _ in range(2))
        both += paired(sample(one), sample(other)).p < ALPHA
        alone += paired(Sample.of_users(one.mean(0)), Sample.of_users(other.mean(0))).p < ALPHA
    assert both / 400 <= 0.08
    assert alone / 400 > 0.2


def test_a_model_without_chance_in_training_adds_no_variance_of_seeds():
    rng = np.random.default_rng(5)
    solved, trained = rng.random(60), drawn(rng, 60, 3, 0.2, 0.05, 0.1)
    once, thrice = Sample.of_users(solved), sample(np.tile(solved, (3, 1)))
    assert interval(thrice) == interval(once)
    both = (paired(each, sample(trained)) for each in (thrice, once))
    assert vars(next(both)) == pytest.approx(vars(next(both)))


def test_users_that_lack_a_seed_or_a_value_are_left_out():
    grid = np.random.default_rng(6).random((2, 5))
    holes = grid.copy()
    holes[0, 1] = np.nan
    kept = sample(holes)
    assert kept.users.tolist() == [0, 2, 3, 4]
    assert kept.means == pytest.approx(np.delete(grid, 1, axis=1).mean(0))
    values = np.array([0.1, np.nan, 0.4, 0.2, np.nan, 0.9])
    assert interval(Sample.of_users(values)) == interval(Sample.of_users(values[~np.isnan(values)]))


def test_a_user_may_not_stand_there_twice():
    with pytest.raises(ValueError, match="two values with one seed"):
        Sample.of(np.array([3, 3]), np.array([1, 1]), np.array([0.5, 0.5]))


def test_one_value_has_a_mean_and_no_interval():
    assert interval(Sample.of_users(np.array([0.5]))) == Interval(0.5, None, None)
    assert interval(Sample.of_users(np.array([0.5, np.nan]))) == Interval(0.5, None, None)
    assert interval(Sample.of_users(np.array([]))) == Interval(None, None, None)
    assert interval(Sample.of_users(np.array([np.nan])), 0, 1) == Interval(None, None, None)


def test_equal_values_between_the_bounds_have_an_interval_without_width():
    assert interval(Sample.of_users(np.full(3, 0.25))) == Interval(0.25, 0.25, 0.25)
    assert interval(Sample.of_users(np.full(3, 0.25)), 0, 1) == Interval(0.25, 0.25, 0.25)


def test_values_of_users_are_summed_exactly():
    values = np.full(1_000_000, 0.1, np.float32)
    values[::2] = 0.3
    assert interval(Sample.of_users(values), 0, 1).mean == pytest.approx(0.2, abs=1e-7)


@pytest.mark.parametrize(("share", "n"), [(0.02, 200), (0.3, 60), (0.98, 200)])
def test_the_interval_of_a_share_is_wilsons(share, n):
    hits = np.zeros(n)
    hits[: round(share * n)] = 1
    found = interval(Sample.of_users(hits), 0, 1)
    # the effective number of users of a sample of zeros and ones is n - 1, of which t takes the place of z
    t = stats.t.ppf(0.975, n - 1)
    roots = np.roots([1 + t**2 / (n - 1), -2 * share - t**2 / (n - 1), share**2])
    assert (found.low, found.high) == pytest.approx(sorted(roots))


@pytest.mark.parametrize(("value", "expected"), [(0.0, (0, 0.0379)), (1.0, (0.9621, 1))])
def test_where_nobody_or_everybody_is_served_the_interval_has_a_width(value, expected):
    found = interval(Sample.of_users(np.full(100, value)), 0, 1)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.97])
def test_intervals_of_shares_near_the_bounds_hold_the_truth(share):
    rng = np.random.default_rng(7)
    found = [interval(Sample.of_users(rng.random(300) < share), 0, 1) for _ in range(500)]
    assert 0.92 <= np.mean([each.low <= share <= each.high for each in found]) <= 0.99


@given(GRIDS)
def test_intervals_stay_within_the_bounds_and_enclose_the_mean(grid):
    for low, high in ((0.0, 1.0), (0.0, np.inf), (-1.0, 2.0)):
        found = interval(sample(np.array(grid)), low, high)
        assert low <= found.low <= found.mean + 1e-12
        assert found.mean - 1e-12 <= found.high <= high


def test_a_bound_on_one_side_cuts():
    found = interval(Sample.of_users(np.array([0.0, 0.0, 6.0])), 0)
    assert found.low == 0 and found.high == pytest.approx(2 + 4.303 * 2, rel=1e-3)


def test_compare_of_one_seed_equals_the_library_test():
    rng = np.random.default_rng(1)
    a, b = rng.random(50), rng.random(50)
    expected = stats.ttest_rel(a, b)
    found = paired(Sample.of_users(a), Sample.of_users(b))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.difference == pytest.approx(a.mean() - b.mean())


def test_compare_pairs_users_and_so_sees_a_small_steady_gain():
    taste = np.random.default_rng(2).random(100)
    gain = np.random.default_rng(3).normal(0.01, 0.005, 100)
    shuffled = np.random.default_rng(4).permutation(taste + gain)
    assert paired(Sample.of_users(taste + gain), Sample.of_users(taste)).p < 0.001
    assert paired(Sample.of_users(shuffled), Sample.of_users(taste)).p > 0.05


def test_compare_of_equal_and_of_shifted_lists():
    values = np.array([0.5, 0.25, 1.0])  # exact in binary, so that the shift is exact too
    assert paired(Sample.of_users(values), Sample.of_users(values)).p == 1.0
    assert paired(Sample.of_users(values + 0.5), Sample.of_users(values)).p == 0.0


@pytest.mark.parametrize("n", [2, 3, 5])
def test_compare_of_few_users(n):
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(n)
    expected = stats.ttest_rel(a, b)
    found = paired(Sample.of_users(np.append(a, np.nan)), Sample.of_users(np.append(b, 0.5)))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.n_users == n


def test_one_common_user_is_no_test():
    one, other = Sample.of_users(np.array([0.75, np.nan])), Sample.of_users(np.array([0.5, 0.5]))
    assert paired(one, other) == Comparison(0.25, None, None, None, 1)
    nobody = Sample.of_users(np.array([np.nan]))
    assert paired(nobody, other) == Comparison(None, None, None, None, 0)


@given(GRIDS, st.permutations(range(9)))
def test_other_numbers_for_the_same_users_change_nothing(grid, names):
    grid = np.array(grid)
    other = grid[::-1] * 0.5  # of another model
    seeds, users = (each.ravel() for each in np.indices(grid.shape))
    renamed = np.array(names)[users] * 10
    plain = [Sample.of(users, seeds, each.ravel()) for each in (grid, other)]
    fresh = [Sample.of(renamed, seeds, each.ravel()) for each in (grid, other)]
    for found, expected in (
        (interval(fresh[0], 0, 1), interval(plain[0], 0, 1)),
        (paired(*fresh), paired(*plain)),
    ):
        assert vars(found) == pytest.approx(vars(expected), rel=1e-6, abs=1e-9)


DIFFERENCES = st.lists(
    st.one_of(
        st.none(),
        st.builds(Difference, st.floats(-1, 1), st.floats(0.01, 1), st.floats(1, 500), st.just(9)),
        st.builds(Difference, st.floats(-1, 1)),
    ),
    max_size=8,
)


@given(DIFFERENCES)
def test_an_adjusted_interval_excludes_0_exactly_when_the_adjusted_p_is_below_5_percent(differences):
    for test in judged(differences):
        if test is not None and test.p is not None:
            assume(abs(test.p - ALPHA) > 1e-9)
            assert (test.low > 0 or test.high < 0) == (test.p < ALPHA)


@given(DIFFERENCES)
def test_adjusted_by_bonferroni_over_the_tests_that_could_be_made(differences):
    m = sum(each is not None and each.error is not None for each in differences)
    for found, each in zip(judged(differences), differences, strict=True):
        if each is None:
            assert found is None
        elif each.error is None:
            assert found == Comparison(each.mean, None, None, None, 0)
        else:
            raw = 2 * stats.t.sf(abs(each.mean) / each.error, each.freedom)
            assert found.p == pytest.approx(min(1, m * raw))
            half = stats.t.ppf(1 - 0.025 / m, each.freedom) * each.error
            assert (found.low, found.high) == pytest.approx((each.mean - half, each.mean + half))


def test_all_intervals_of_a_family_hold_together():
    """Ten models as good as the reference: nobody is called better in 95 of 100 repetitions."""
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(300):
        grids = rng.normal(0, 0.1, (11, 80)) + rng.normal(0, 0.2, 80)
        first, *others = (Sample.of_users(each) for each in grids)
        wrong += any(found.p < ALPHA for found in judged([compare(each, first) for each in others]))
    assert wrong / 300 <= 0.08


def test_a_published_figure_is_held_against_the_spread_of_seeds():
    runs = np.array([0.07, 0.08, 0.079])
    found = against_figure(runs, 0.0846)
    error = runs.std(ddof=1) * np.sqrt(1 + 1 / 3)
    assert (found.mean, found.error, found.freedom) == pytest.approx((runs.mean() - 0.0846, error, 2))
    (test,) = judged([found])
    # the t-test of two samples of which one has a single value
    theirs = stats.ttest_ind(runs, [0.0846], equal_var=True)
    assert test.p == pytest.approx(theirs.pvalue)
    assert judged([against_figure(np.array([0.07]), 0.08)])[0] == Comparison(
        pytest.approx(-0.01), None, None, None, 0
    )


def test_one_level_for_intervals_and_tests():
    assert pytest.approx(1 - CONFIDENCE) == ALPHA
