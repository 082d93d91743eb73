"""What may be known of users when held-out rows are ranked.

Models whose users are learned vectors know the training rows and nothing later. A sequence model ranks from the
history it is shown, and serving would show it every event up to now. So, when testing, it also sees the validation
rows that came before a user's first test row: all of them under leave-one-out, a split by time or walk-forward, only
the earlier ones under a random split. Without them it would be asked for the item after the next. Validation shows
the training rows alone, and no parameter learns from what is shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.types import Interactions


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
