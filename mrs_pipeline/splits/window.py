"""Walk-forward: a window's own events test, the end of the history before it validates, the rest trains."""

import numpy as np

from mrs_pipeline.splits.global_time import moment_from_which
from mrs_pipeline.splits.labels import TEST_LABEL, TRAIN_LABEL, VALID_LABEL, LabelArray
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.types import BoolArray, IntArray


def window_split(options: SplitOptions, times: IntArray, is_history: BoolArray) -> LabelArray:
    """Label by the window's start and one moment in the history, which is never divided.

    Args:
        options: `valid`, the share of the history that validates; 0 for none.
        times: [E] times in any unit, `NO_TIME` (the oldest) where unknown.
        is_history: [E] whether the row lies before the window.

    Returns:
        [E] positions in `schema.SPLITS`.

    Raises:
        InputError: the history has one moment only, so nothing can be cut from its end.
    """
    labels = np.where(is_history, TRAIN_LABEL, TEST_LABEL).astype(np.int8)
    if options.valid > 0.0 and is_history.any():
        cut = moment_from_which(times[is_history], (1.0 - options.valid) * int(is_history.sum()))
        labels[is_history & (times >= cut)] = VALID_LABEL
    return labels
