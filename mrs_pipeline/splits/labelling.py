"""The two ways in: `label` for a dataset as a whole, `label_window` for one window of it."""

from collections.abc import Sequence

from mrs_pipeline.splits.given import given_split
from mrs_pipeline.splits.global_time import global_time
from mrs_pipeline.splits.held_out_users import without_users
from mrs_pipeline.splits.labels import LabelArray, Labelled, labelled
from mrs_pipeline.splits.leave_one_out import leave_one_out
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.splits.random_ratio import random_ratio
from mrs_pipeline.splits.window import window_split
from mrs_pipeline.types import BoolArray, IntArray


def label(
    options: SplitOptions,
    users: IntArray,
    items: IntArray,
    times: IntArray | None = None,
    given: Sequence[str | None] | None = None,
) -> Labelled:
    """Split a dataset by the strategy of the settings.

    Args:
        options: strategy, ratios, seed.
        users: [E] dense users.
        items: [E] dense items.
        times: [E] times in any unit, `labels.NO_TIME` where unknown; None where the data have no time.
        given: [E] the source's own labels; None where it has none.

    Raises:
        InputError: the data lack what the strategy needs.
    """
    return labelled(without_users(_labels(options, users, items, times, given), users, options), users)


def label_window(options: SplitOptions, users: IntArray, times: IntArray, is_history: BoolArray) -> Labelled:
    """Split one window: its events test, the end of its history validates; see `window`.

    Args:
        options: the validation share.
        users: [E] dense users.
        times: [E] times in any unit, `labels.NO_TIME` where unknown.
        is_history: [E] whether the row lies before the window.

    Raises:
        InputError: the history cannot be cut.
    """
    return labelled(without_users(window_split(options, times, is_history), users, options), users)


def _labels(
    options: SplitOptions,
    users: IntArray,
    items: IntArray,
    times: IntArray | None,
    given: Sequence[str | None] | None,
) -> LabelArray:
    match options.strategy:
        case "random":
            return random_ratio(options, users, items)
        case "leave_one_out":
            return leave_one_out(options, users, items, times)
        case "global_time":
            return global_time(options, times)
        case "given":
            return given_split(given)
