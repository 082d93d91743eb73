"""What may be known of users when held-out rows are ranked.

Models whose users are learned vectors know the training rows and nothing later. A sequence model ranks from the
history it is shown, and serving would show it every event up to now. So, when testing, it also sees the validation
rows that came before a user's first test row: all of them under leave-one-out, a split by time or walk-forward, only
the earlier ones under a random split. Without them it would be asked for the item after the next. Validation shows
the training rows alone, and no parameter learns from what is shown.

Once the epoch is chosen nothing speaks against learning from the validation rows too: `with_whole_history`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.types import Interactions, TrainingData


@contextmanager
def observing(model: AnyRecommender, known: Interactions | None) -> Iterator[None]:
    """While this lasts `model` knows the interactions `known` beside its training rows."""
    model.observe(known)
    try:
        yield
    finally:
        model.observe(None)


def known_before(rows: Interactions, test: Interactions) -> Interactions | None:
    """Those of `rows` that are not later than their user's first row in `test`; None where times are not known."""
    if rows.times is None or test.times is None:
        return None
    first = np.full(rows.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, test.users, test.times)
    kept = rows.times <= first[rows.users]
    return Interactions(rows.users[kept], rows.items[kept], rows.n_users, rows.n_items, rows.times[kept])


def together(rows: Interactions, more: Interactions) -> Interactions:
    """The rows of both in the order of users, times and items; with times where both have them."""
    times = None
    if rows.times is not None and more.times is not None:
        times = np.concatenate([rows.times, more.times])
    users, items = (np.concatenate(pair) for pair in ((rows.users, more.users), (rows.items, more.items)))
    order = np.lexsort((items, items if times is None else times, users))
    return Interactions(
        users[order],
        items[order],
        max(rows.n_users, more.n_users),
        rows.n_items,
        None if times is None else times[order],
    )


def with_whole_history(data: TrainingData) -> TrainingData:
    """`data` with the validation rows among the training rows, and none held out.

    The graph of users, which is of training rows, is left out, so that `fitting.prepare` makes it of all rows. Item
    vectors of a pretraining stay as they are: what learns from the further rows is the second step.
    """
    valid = data.valid
    nothing = Interactions(
        valid.users[:0],
        valid.items[:0],
        valid.n_users,
        valid.n_items,
        None if valid.times is None else valid.times[:0],
    )
    return replace(data, train=together(data.train, valid), valid=nothing, user_graph=None)
