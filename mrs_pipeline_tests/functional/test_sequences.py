"""Histories against plain lists; every item the target of exactly one step."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mrs_pipeline.functional.sequences import PAD, OrderedHistories

N_USERS, N_ITEMS = 4, 7
ROWS = st.lists(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.integers(-5, 5)))


def made(rows) -> tuple[OrderedHistories, list[list[int]]]:
    """The histories, and the same as lists."""
    columns = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T
    lists = [
        [N_ITEMS] + [i for _, i in sorted((t, i) for u, i, t in rows if u == user)] for user in range(N_USERS)
    ]
    return OrderedHistories.from_rows(*columns, N_USERS, N_ITEMS), lists


def padded(tokens: list[int], length: int) -> list[int]:
    return ([PAD] * length + tokens)[-length:]


@given(ROWS, st.integers(1, 6))
def test_latest_tokens_padded_on_the_left(rows, length):
    histories, lists = made(rows)
    users = torch.tensor([2, 0, 3, 2])
    assert histories.latest(users, length).tolist() == [
        padded(lists[user], length) for user in users.tolist()
    ]
    assert histories.lengths.tolist() == [len(one) - 1 for one in lists]


@given(ROWS, st.integers(1, 6))
def test_times_stand_beside_their_tokens(rows, length):
    histories, _ = made(rows)
    users = torch.tensor([2, 0, 3, 2])
    expected = []
    for user in users.tolist():
        own = [t for t, _ in sorted((t, i) for u, i, t in rows if u == user)]
        first = own[0] if own else 0
        expected.append(([first] * length + [first, *own])[-length:])
    ends = histories.lengths[users] + 1
    assert histories.times_of_rows(users, ends, length).tolist() == expected
    some = histories.take(users)
    assert some.times_of_rows(torch.arange(4), some.lengths + 1, length).tolist() == expected


def test_lists_may_have_times_and_rows_may_have_none():
    lists, times = [np.array([4, 1]), np.array([], np.int64)], [np.array([7, 9]), np.array([], np.int64)]
    histories = OrderedHistories.from_lists(lists, N_ITEMS, times=times)
    assert histories.times.tolist() == [7, 7, 9, 0]
    assert OrderedHistories.from_lists(lists, N_ITEMS).times is None
    users, items = torch.tensor([1, 0, 1]), torch.tensor([3, 2, 0])
    untimed = OrderedHistories.from_rows(users, items, None, 2, N_ITEMS)
    assert untimed.tokens.tolist() == [N_ITEMS, 2, N_ITEMS, 3, 0]  # in the order given
    assert untimed.times is None and untimed.times_of_rows(torch.tensor([0]), torch.tensor([2]), 2) is None
    assert untimed.take(torch.tensor([1])).times is None


@given(ROWS, st.integers(1, 6))
def test_stretches_make_every_item_a_target_once(rows, length):
    histories, lists = made(rows)
    users, ends = histories.subsequences(length)
    tokens = histories.rows(users, ends + 1, length + 1)
    steps = []
    for user, row in zip(users.tolist(), tokens.tolist(), strict=True):
        steps += [(user, row[i], row[i + 1]) for i in range(length) if row[i] != PAD]
    expected = [(user, a, b) for user, one in enumerate(lists) for a, b in zip(one, one[1:], strict=False)]
    assert sorted(steps) == sorted(expected)


def test_a_user_without_history_is_the_start_token_alone():
    histories, _ = made([(1, 3, 0)])
    assert histories.latest(torch.tensor([0, 1]), 3).tolist() == [[PAD, PAD, N_ITEMS], [PAD, N_ITEMS, 3]]
    nobody = torch.zeros(0, dtype=torch.int64)
    empty = OrderedHistories.from_rows(nobody, nobody, nobody, 2, N_ITEMS)
    assert empty.latest(torch.tensor([1]), 2).tolist() == [[PAD, N_ITEMS]]


def test_order_of_the_rows_that_go_in_does_not_matter():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, 4, 50), rng.integers(0, 7, 50), rng.permutation(50)], 1)
    first, again = made(rows.tolist())[0], made(rng.permutation(rows).tolist())[0]
    assert torch.equal(first.tokens, again.tokens)
