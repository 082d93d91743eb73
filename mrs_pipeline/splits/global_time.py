"""Everything from one moment on tests, everything from an earlier moment up to it validates.

Also holds the choice of such a moment, which the split of a window's history shares.
"""

import numpy as np

from mrs_pipeline.errors import InputError
from mrs_pipeline.splits.labels import NO_TIME, TEST_LABEL, TRAIN_LABEL, VALID_LABEL, LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.types import IntArray


def global_time(options: SplitOptions, times: IntArray | None) -> LabelArray:
    """Label by two moments, chosen so that the shares come closest to the ratios; a moment is never divided.

    Rows of users who have nothing to be trained on are not moved to training: they lie in the future of the model.

    Args:
        options: the ratios.
        times: [E] times in any unit, `NO_TIME` (the oldest) where unknown; None where the data have no time.

    Returns:
        [E] positions in `schema.SPLITS`.

    Raises:
        InputError: there is no time, or too few different moments to cut between.
    """
    if times is None or not (times != NO_TIME).any():
        raise InputError(
            "split strategy global_time needs times, but the interactions have no timestamp: map the column "
            "under source, or choose the strategy random or leave_one_out."
        )
    labels = np.full(len(times), TRAIN_LABEL, dtype=np.int8)
    end = len(times)
    for label, ratio in ((TEST_LABEL, options.test), (VALID_LABEL, options.valid)):
        if ratio > 0.0:
            last = labels == TRAIN_LABEL
            cut = moment_from_which(times[last], end - ratio * len(times))
            labels[last & (times >= cut)] = label
        end = int((labels == TRAIN_LABEL).sum())
    return labels


def moment_from_which(times: IntArray, rows_before: float) -> np.int64:
    """The moment that leaves nearly `rows_before` rows before it, and at least those of one other moment.

    Of two moments equally near the later one is taken.

    Raises:
        InputError: all rows have one moment.
    """
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < 2:
        raise InputError(
            "a split by time needs interactions of different moments, but those to be cut all have one: give "
            "finer timestamps, or smaller shares of validation and test."
        )
    before = np.cumsum(counts)[:-1]  # [moments - 1] rows before moments[1:]
    distance = np.abs(before - rows_before)
    nearest = len(before) - 1 - int(np.argmin(distance[::-1]))
    return np.int64(moments[1:][nearest])
