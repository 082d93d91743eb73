"""What every strategy returns: one label a row, and the report that says what the labels amount to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mrs_pipeline.schema import SPLIT_LABELS, TRAIN
from mrs_pipeline.types import IntArray

LabelArray = npt.NDArray[np.int8]

TRAIN_LABEL, VALID_LABEL, TEST_LABEL = 0, 1, 2
"""Positions in `schema.SPLITS`."""
LEFT_OUT = -1
"""A row of a user who has nothing to be trained on: it takes no part."""
NO_TIME = np.iinfo(np.int64).min
"""Time of a row without one (NumPy's NaT as an integer): it counts as older than every other."""


@dataclass(frozen=True)
class SplitReport:
    """What a split amounts to.

    Attributes:
        rows: split -> number of rows.
        users: split -> number of users with a row in it.
        ratios: split -> share of the rows that take part.
        rows_without_history: rows left out, because their user has no training row.
    """

    rows: Mapping[str, int]
    users: Mapping[str, int]
    ratios: Mapping[str, float]
    rows_without_history: int


@dataclass(frozen=True)
class Labelled:
    """The outcome of a strategy.

    Attributes:
        labels: [E] int8, a position in `schema.SPLITS` or `LEFT_OUT`, in the order of the rows that went in.
        report: counts.
    """

    labels: LabelArray
    report: SplitReport

    @property
    def names(self) -> list[str | None]:
        """[E] `train`, `valid`, `test`, or None for rows that take no part."""
        names: list[str | None] = np.array([*SPLIT_LABELS, None], dtype=object)[self.labels].tolist()
        return names


def labelled(labels: LabelArray, users: IntArray) -> Labelled:
    """Leave out what has no history to be judged by, and count the rest.

    Args:
        labels: [E] positions in `schema.SPLITS`.
        users: [E] dense users.
    """
    trained = np.unique(users[labels == TRAIN_LABEL])
    kept = np.where(np.isin(users, trained), labels, LEFT_OUT).astype(np.int8)
    return Labelled(kept, _report(kept, users))


def _report(labels: LabelArray, users: IntArray) -> SplitReport:
    rows = {name: int((labels == code).sum()) for code, name in enumerate(SPLIT_LABELS)}
    part = max(1, sum(rows.values()))
    return SplitReport(
        rows=rows,
        users={name: len(np.unique(users[labels == code])) for code, name in enumerate(SPLIT_LABELS)},
        ratios={name: count / part for name, count in rows.items()},
        rows_without_history=int((labels == LEFT_OUT).sum()),
    )


assert SPLIT_LABELS[TRAIN_LABEL] == TRAIN
