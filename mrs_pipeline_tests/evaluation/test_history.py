"""What a model may know when it is tested: what came before, and nothing after."""

import numpy as np
import pytest

from mrs_pipeline.evaluation.history import known_before, observing
from mrs_pipeline.types import Interactions


def rows(*triples, n_users: int = 3) -> Interactions:
    users, items, times = np.array(triples, dtype=np.int64).reshape(-1, 3).T
    return Interactions(users, items, n_users, 9, times)


def test_only_rows_before_the_users_first_test_row():
    valid = rows((0, 1, 10), (0, 2, 20), (0, 3, 30), (1, 4, 99), (2, 5, 7))
    test = rows((0, 6, 20), (0, 7, 40), (1, 8, 5))
    known = known_before(valid, test)
    found = list(zip(known.users.tolist(), known.items.tolist(), known.times.tolist(), strict=True))
    assert found == [(0, 1, 10), (0, 2, 20), (2, 5, 7)]  # user 2 has no test row: nothing can leak


def test_nothing_is_known_without_times():
    timeless = Interactions(np.array([0]), np.array([1]), 3, 9)
    assert known_before(timeless, rows((0, 1, 1))) is None
    assert known_before(rows((0, 1, 1)), timeless) is None


class Listener:
    def __init__(self) -> None:
        self.told = []

    def observe(self, known) -> None:
        self.told.append(known)


def test_what_was_shown_is_forgotten_even_after_a_failure():
    model, known = Listener(), rows((0, 1, 1))
    with pytest.raises(RuntimeError), observing(model, known):
        raise RuntimeError
    assert model.told == [known, None]
