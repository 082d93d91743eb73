"""Every strategy on random data: the promises that all share, then what each promises by itself."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mrs_pipeline.errors import InputError
from mrs_pipeline.splits.global_time import moment_from_which
from mrs_pipeline.splits.labelling import label, label_window
from mrs_pipeline.splits.labels import NO_TIME, TEST_LABEL, TRAIN_LABEL, VALID_LABEL
from mrs_pipeline.splits.options import SplitOptions

TIMED = ("random", "leave_one_out", "global_time")


@st.composite
def interactions(draw, most_users=6):
    """Distinct (user, item) pairs with times that often tie; some rows have none."""
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, most_users - 1), st.integers(0, 9)), min_size=1, max_size=40, unique=True
        )
    )
    moments = draw(
        st.lists(st.integers(0, 12) | st.just(int(NO_TIME)), min_size=len(pairs), max_size=len(pairs))
    )
    users, items = np.array(pairs, dtype=np.int64).T
    return users, items, np.array(moments, dtype=np.int64)


@st.composite
def split_options(draw, strategies=TIMED):
    ratios = st.sampled_from([0.0, 0.1, 0.25, 0.4])
    return SplitOptions(
        strategy=draw(st.sampled_from(strategies)),
        valid=draw(ratios),
        test=draw(ratios),
        seed=draw(st.integers(0, 99)),
    )


def _try(options, users, items, times):
    """The labels, or None where the data cannot be cut in time (which the strategy says)."""
    try:
        return label(options, users, items, times)
    except InputError:
        assert options.strategy == "global_time"
        return None


@settings(max_examples=150, deadline=None)
@given(split_options(), interactions())
def test_every_row_has_one_label_and_the_report_counts_them(options, data) -> None:
    users, _items, _times = data
    if (found := _try(options, *data)) is None:
        return
    assert found.labels.shape == users.shape
    assert set(found.labels.tolist()) <= {TRAIN_LABEL, VALID_LABEL, TEST_LABEL}
    assert {name: rows for name, rows in found.report.rows.items() if rows} == Counter(found.names)
    assert sum(found.report.rows.values()) == len(users)
    assert found.report.new_users == len(set(users) - set(users[found.labels == TRAIN_LABEL]))
    assert sum(found.report.ratios.values()) == pytest.approx(1.0)
    for name, counted in found.report.users.items():
        assert counted == len({user for user, own in zip(users, found.names, strict=True) if own == name})


@settings(max_examples=150, deadline=None)
@given(split_options(), interactions())
def test_every_user_trains_unless_time_or_held_out_items_forbid_it(options, data) -> None:
    if (found := _try(options, *data)) is None:
        return
    if options.strategy != "global_time" and not options.cold_items:
        assert found.report.new_users == 0


@settings(max_examples=150, deadline=None)
@given(split_options(), interactions(), st.randoms(use_true_random=False))
def test_labels_do_not_depend_on_the_order_of_rows(options, data, random) -> None:
    users, items, times = data
    order = np.array(random.sample(range(len(users)), len(users)))
    straight, shuffled = _try(options, *data), _try(options, users[order], items[order], times[order])
    if straight is None:
        assert shuffled is None
        return
    np.testing.assert_array_equal(straight.labels[order], shuffled.labels)


@settings(max_examples=100, deadline=None)
@given(split_options(("random",)), interactions(most_users=2))
def test_random_takes_the_documented_share_of_each_user(options, data) -> None:
    users, items, times = data
    labels = label(options, users, items, times).labels
    for user in set(users):
        own, rows = labels[users == user], int((users == user).sum())
        tests = max(1, int(options.test * rows + 1e-9)) if options.test and rows >= 2 else 0
        least = 3 if options.test else 2
        valids = max(1, int(options.valid * rows + 1e-9)) if options.valid and rows >= least else 0
        assert ((own == TEST_LABEL).sum(), (own == VALID_LABEL).sum()) == (tests, valids)
        assert (own == TRAIN_LABEL).any()


def test_random_draws_other_rows_for_another_seed_and_realises_its_ratios() -> None:
    users, items = (each.ravel() for each in np.indices((50, 100)))
    first, second = (label(SplitOptions(seed=seed), users, items) for seed in (1, 2))
    assert first.report.ratios == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1})
    overlap = ((first.labels == TEST_LABEL) & (second.labels == TEST_LABEL)).sum()
    assert 20 < overlap < 90  # 500 tests each of 5000 rows: 50 by chance
    chosen = np.bincount(items[first.labels == TEST_LABEL], minlength=100)
    assert chosen.max() <= 16  # no item is preferred: 5 by chance


@settings(deadline=None)
@given(interactions(), st.floats(0.05, 0.5), st.integers(0, 99))
def test_cold_items_are_tested_whole_and_the_others_split_as_ever(data, share, seed) -> None:
    users, items, *_ = data
    options = SplitOptions(strategy="random", cold_items=share, seed=seed)
    labels = label(options, users, items).labels
    known = np.unique(items)
    cold = [item for item in known if not np.isin(labels[items == item], (TRAIN_LABEL, VALID_LABEL)).any()]
    assert len(cold) >= int(share * len(known) + 1e-9)
    assert set(np.unique(labels[np.isin(items, cold)])) <= {TEST_LABEL}
    again = label(options, users[::-1], items[::-1]).labels[::-1]
    assert np.array_equal(labels, again)


def test_cold_items_belong_to_a_random_split() -> None:
    with pytest.raises(ValidationError, match="cold_items holds items out of a random split"):
        SplitOptions(strategy="global_time", cold_items=0.2)


def test_random_is_pinned() -> None:
    users, items = (each.ravel() for each in np.indices((2, 8)))
    labels = label(SplitOptions(valid=0.25, test=0.25, seed=7), users, items).labels
    assert labels.tolist() == [1, 2, 0, 0, 2, 0, 1, 0, 0, 1, 0, 2, 1, 2, 0, 0]


@settings(max_examples=100, deadline=None)
@given(interactions(), st.integers(0, 9))
def test_leave_one_out_takes_the_last_and_the_one_before(data, seed) -> None:
    users, items, times = data
    labels = label(SplitOptions(strategy="leave_one_out", seed=seed), users, items, times).labels
    for user in set(users):
        own, moments = labels[users == user], times[users == user]
        assert (own == TEST_LABEL).sum() == (1 if len(own) >= 2 else 0)
        assert (own == VALID_LABEL).sum() == (1 if len(own) >= 3 else 0)
        for later, earlier in (
            (TEST_LABEL, VALID_LABEL),
            (TEST_LABEL, TRAIN_LABEL),
            (VALID_LABEL, TRAIN_LABEL),
        ):
            if (own == later).any() and (own == earlier).any():
                assert moments[own == later].min() >= moments[own == earlier].max()


def test_leave_one_out_without_time_draws_by_seed() -> None:
    users, items = (each.ravel() for each in np.indices((40, 10)))
    tests = []
    for seed in (1, 2):
        found = label(SplitOptions(strategy="leave_one_out", seed=seed), users, items, None)
        assert found.report.rows == {"train": 320, "valid": 40, "test": 40}
        tests.append(items[found.labels == TEST_LABEL])
    assert (tests[0] != tests[1]).any()
    assert len(set(tests[0])) > 5


@settings(max_examples=150, deadline=None)
@given(split_options(("global_time",)), interactions())
def test_global_time_never_trains_on_what_comes_after(options, data) -> None:
    _users, _items, times = data
    if (found := _try(options, *data)) is None:
        return
    groups = [times[found.labels == code] for code in (TRAIN_LABEL, VALID_LABEL, TEST_LABEL)]
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        if len(groups[earlier]) and len(groups[later]):
            assert groups[earlier].max() < groups[later].min()


def test_global_time_comes_close_to_its_ratios_and_counts_who_has_no_past() -> None:
    users = np.repeat(np.arange(100), 10)
    items = np.tile(np.arange(10), 100)
    times = np.arange(1000)  # user u acts from 10 u on: the last users have no training row
    found = label(SplitOptions(strategy="global_time", valid=0.1, test=0.2), users, items, times)
    assert found.report.rows == {"train": 700, "valid": 100, "test": 200}
    assert found.report.new_users == 30
    spread = label(SplitOptions(strategy="global_time", valid=0.1, test=0.2), users, items, times[::-1] % 10)
    assert spread.report.rows == {"train": 700, "valid": 100, "test": 200}


@pytest.mark.parametrize("times", [None, np.full(4, NO_TIME), np.full(4, 5)])
def test_global_time_says_when_it_cannot_cut(times) -> None:
    pairs = np.arange(4)
    with pytest.raises(InputError, match="time"):
        label(SplitOptions(strategy="global_time"), pairs, pairs, times)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30), st.floats(0, 30))
def test_the_cut_is_the_nearest_moment(times, wanted) -> None:
    moments = sorted(set(times))
    if len(moments) < 2:
        with pytest.raises(InputError, match="different moments"):
            moment_from_which(np.array(times), wanted)
        return
    cut = moment_from_which(np.array(times), wanted)
    distance = {moment: abs(sum(time < moment for time in times) - wanted) for moment in moments[1:]}
    assert distance[int(cut)] == min(distance.values())
    assert int(cut) == max(moment for moment, away in distance.items() if away == distance[int(cut)])


def test_of_two_moments_equally_near_the_later_one_cuts() -> None:
    times = np.array([1, 1, 2, 2, 3, 3])  # 2 rows before moment 2, 4 before moment 3
    assert moment_from_which(times, 3.0) == 3
    assert moment_from_which(times, 2.9) == 2
    assert moment_from_which(times, 3.1) == 3


def test_global_time_gives_a_row_in_doubt_to_training() -> None:
    users, times = np.zeros(6, dtype=np.int64), np.array([1, 1, 2, 2, 3, 3])
    labels = label(
        SplitOptions(strategy="global_time", valid=0.0, test=0.5), users, np.arange(6), times
    ).labels
    assert labels.tolist() == [TRAIN_LABEL] * 4 + [TEST_LABEL] * 2


GIVEN = SplitOptions(strategy="given")


def test_given_labels_are_taken_and_users_without_training_counted() -> None:
    users = np.array([0, 0, 0, 1, 1])
    found = label(GIVEN, users, np.arange(5), None, ["train", "test", "valid", "test", "valid"])
    assert found.names == ["train", "test", "valid", "test", "valid"]
    assert found.report.new_users == 1


@pytest.mark.parametrize(
    ("given_labels", "message"),
    [
        (None, "needs a column 'split'"),
        ([None, None], "needs a column 'split'"),
        (["train", None], "1 of 2 interactions .* None"),
        (["train", "dev"], "1 of 2 interactions .* 'dev'"),
        (["test", "valid"], "no interaction has 'split' = train"),
    ],
)
def test_given_labels_that_cannot_be_used_are_named(given_labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        label(GIVEN, np.array([0, 0]), np.array([0, 1]), None, given_labels)


@settings(max_examples=150, deadline=None)
@given(interactions(), st.integers(1, 11), st.sampled_from([0.0, 0.1, 0.3]))
def test_a_window_tests_its_events_and_validates_on_the_end_of_its_history(data, start, valid) -> None:
    users, _, times = data
    history = times < start
    options = SplitOptions(valid=valid)
    if valid and len(set(times[history])) == 1:
        with pytest.raises(InputError, match="different moments"):
            label_window(options, users, times, history)
        return
    labels = label_window(options, users, times, history).labels
    assert set(labels[~history]) <= {TEST_LABEL}
    assert TEST_LABEL not in labels[history]
    assert valid > 0 or VALID_LABEL not in labels
    trained = times[labels == TRAIN_LABEL]
    for later in (VALID_LABEL, TEST_LABEL):
        if (labels == later).any() and len(trained):
            assert trained.max() < times[labels == later].min()


def test_a_window_without_events_yet_has_training_rows_only_besides_validation() -> None:
    users = np.zeros(10, dtype=np.int64)
    found = label_window(SplitOptions(valid=0.2), users, np.arange(10), np.ones(10, dtype=bool))
    assert found.report.rows == {"train": 8, "valid": 2, "test": 0}


@pytest.mark.parametrize(
    "wrong",
    [{"valid": 0.6}, {"test": -0.1}, {"valid": 0.5, "test": 0.5}, {"strategy": "k_fold"}, {"ratio": 1}],
)
def test_settings_outside_their_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        SplitOptions(**wrong)
