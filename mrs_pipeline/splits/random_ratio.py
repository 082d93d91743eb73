"""A share of every user's rows, drawn by a seeded hash of user and item: the 8:1:1 of many benchmarks.

Items may be held out whole before that, so that there are cold ones to test on.
"""

import numpy as np

from mrs_pipeline.splits.labels import TEST_LABEL, TRAIN_LABEL, VALID_LABEL, LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.splits.order import pair_hash, places_from_end
from mrs_pipeline.types import IntArray

_ROUNDING = 1e-9
"""0.29 * 100 must count as 29 rows although floating point falls short of it."""


def random_ratio(options: SplitOptions, users: IntArray, items: IntArray) -> LabelArray:
    """Label each user's rows by ratio.

    Of n rows of a user, `floor(test * n)` test and `floor(valid * n)` validate, but at least one each where
    the ratio is above zero; a user of two rows gives none to validation, a user of one row only trains. Small
    users so raise the realised ratios, which the report shows. With `cold_items` all this is said of the rows of the
    other items.

    Args:
        options: ratios and seed.
        users: [E] dense users.
        items: [E] dense items.

    Returns:
        [E] positions in `schema.SPLITS`.
    """
    labels = np.full(len(users), TEST_LABEL, dtype=np.int8)
    warm = np.flatnonzero(~np.isin(items, _held_out(options, items)))
    labels[warm] = _of_each_user(options, users[warm], items[warm])
    return labels


def _held_out(options: SplitOptions, items: IntArray) -> IntArray:
    """The items whose rows all test: those with the smallest seeded hashes."""
    known = np.unique(items)
    lots = pair_hash(options.seed, np.zeros_like(known), known)
    n_held_out = int(options.cold_items * len(known) + _ROUNDING)
    return known[np.lexsort((known, lots))[:n_held_out]]


def _of_each_user(options: SplitOptions, users: IntArray, items: IntArray) -> LabelArray:
    order = np.lexsort((items, pair_hash(options.seed, users, items), users))
    places, counts = places_from_end(users, order)
    tests = _quota(options.test, counts, least_rows=2)
    valids = _quota(options.valid, counts, least_rows=3 if options.test else 2)
    labels = np.full(len(users), TRAIN_LABEL, dtype=np.int8)
    labels[places < tests + valids] = VALID_LABEL
    labels[places < tests] = TEST_LABEL
    return labels


def _quota(ratio: float, counts: IntArray, least_rows: int) -> IntArray:
    """Rows of each user that a ratio takes; none from users with fewer than `least_rows` rows."""
    if ratio == 0.0:
        return np.zeros_like(counts)
    share = np.maximum(1, np.floor(ratio * counts + _ROUNDING).astype(np.int64))
    return np.where(counts >= least_rows, share, 0)
