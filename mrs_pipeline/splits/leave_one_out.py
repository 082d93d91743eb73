"""Each user's last row tests, the one before it validates."""

import numpy as np

from mrs_pipeline.splits.labels import TEST_LABEL, TRAIN_LABEL, VALID_LABEL, LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.splits.order import pair_hash, places_from_end
from mrs_pipeline.types import IntArray


def leave_one_out(
    options: SplitOptions, users: IntArray, items: IntArray, times: IntArray | None
) -> LabelArray:
    """Label by time within each user; a seeded hash decides where there is no time or a tie.

    A user of two rows gives none to validation, a user of one row only trains.

    Args:
        options: the seed.
        users: [E] dense users.
        items: [E] dense items.
        times: [E] times in any unit, `NO_TIME` where unknown; None where the data have no time.

    Returns:
        [E] positions in `schema.SPLITS`.
    """
    moments = np.zeros(len(users), dtype=np.int64) if times is None else times
    order = np.lexsort((items, pair_hash(options.seed, users, items), moments, users))
    places, counts = places_from_end(users, order)
    labels = np.full(len(users), TRAIN_LABEL, dtype=np.int8)
    labels[(places == 0) & (counts >= 2)] = TEST_LABEL
    labels[(places == 1) & (counts >= 3)] = VALID_LABEL
    return labels
