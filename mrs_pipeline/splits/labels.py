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
NO_TIME = np.iinfo(np.int64).min
"""Time of a row without one (NumPy's NaT as an integer): it counts as older than every other."""


@dataclass(frozen=True)
class SplitReport:
    """What a split amounts to.

    Attributes:
        rows: split -> number of rows.
        users: split -> number of users with a row in it.
        ratios: split -> share of the rows.
        new_users: users of validation or test without a training row; they are measured apart.
    """

    rows: Mapping[str, int]
    users: Mapping[str, int]
    ratios: Mapping[str, float]
    new_users: int


@dataclass(frozen=True)
class Labelled:
    """The outcome of a strategy.

    Attributes:
        labels: [E] int8, a position in `schema.SPLITS`, in the order of the rows that went in.
        report: counts.
    """

    labels: LabelArray
    report: SplitReport

    @property
    def names(self) -> list[str]:
        """[E] `train`, `valid` or `test`."""
        names: list[str] = np.array(SPLIT_LABELS, dtype=object)[self.labels].tolist()
        return names


def labelled(labels: LabelArray, users: IntArray) -> Labelled:
    """Labels with their counts.

    Args:
        labels: [E] positions in `schema.SPLITS`.
        users: [E] dense users.
    """
    rows = {name: int((labels == code).sum()) for code, name in enumerate(SPLIT_LABELS)}
    part = max(1, len(labels))
    trained = np.unique(users[labels == TRAIN_LABEL])
    report = SplitReport(
        rows=rows,
        users={name: len(np.unique(users[labels == code])) for code, name in enumerate(SPLIT_LABELS)},
        ratios={name: count / part for name, count in rows.items()},
        new_users=len(np.unique(users)) - len(trained),
    )
    return Labelled(labels, report)


assert SPLIT_LABELS[TRAIN_LABEL] == TRAIN
