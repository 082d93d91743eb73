"""What a metric declares about itself, and the names under which its values travel."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from mrs_pipeline.metrics.evidence import Evidence, Values

PerUser = Callable[[Evidence, int], Values]
"""Evidence and cut-off k -> [B] float64, NaN for a user for whom it is not defined."""
Overall = Callable[[Evidence, int], float]
"""Evidence and cut-off k -> one number over all users, NaN where it is not defined."""


class Need(StrEnum):
    """What a metric reads beside places and training rows; lists are made only when a metric asks for them."""

    LISTS = "ranked lists"
    FEATURES = "item features"
    ATTRIBUTE = "an attribute of the items"


@dataclass(frozen=True)
class Metric:
    """A measure of ranked lists.

    It has `per_user`, `overall` or both. The value of a metric with `per_user` alone is the mean over users, with a
    confidence interval; that of one with `overall` is what `overall` says, without an interval: there is no sample
    whose mean it is.

    Attributes:
        name: lower case with underscores; the `metric` column of every table.
        title: in words.
        formula: plain text; k is the cut-off.
        source: where the definition comes from.
        low: least value.
        high: greatest value; infinity for none.
        better: `higher`, `lower`, or `neither` where neither end is better by itself.
        per_user: value of each user.
        overall: one value over all users.
        chance: what a random order of the candidates is expected to give each user; None where it is not known.
        needs: what it reads beside places and training rows.
        accuracy: whether it compares with held-out items, so that it may choose models (`select_on`).
        cutoff: whether it depends on k; False for a metric of the whole ranking, whose rows have no k.
        grows: whether a longer list can only raise it.
        unit: of the value; empty for a number without one.
        note: what a reader must know to compare it with other libraries.
    """

    name: str
    title: str
    formula: str
    source: str
    low: float = 0.0
    high: float = 1.0
    better: Literal["higher", "lower", "neither"] = "higher"
    per_user: PerUser | None = None
    overall: Overall | None = None
    chance: PerUser | None = None
    needs: frozenset[Need] = frozenset()
    accuracy: bool = False
    cutoff: bool = True
    grows: bool = False
    unit: str = ""
    note: str = ""

    @property
    def selects(self) -> bool:
        """Whether it may choose epochs and settings: accuracy at a cut-off, of each user, from places alone."""
        return self.accuracy and self.cutoff and self.per_user is not None and not self.needs

    @property
    def bounds(self) -> str:
        """The range in words, e.g. `0 to 1`."""
        return f"{self.low:g} and more" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"

    def label(self, k: int) -> str:
        """`<name>@<k>`, or the name alone for a metric of the whole ranking."""
        return f"{self.name}@{k}" if self.cutoff else self.name


def parse_label(label: str) -> tuple[str, int | None]:
    """Name and cut-off of a `Metric.label`."""
    name, _, k = label.partition("@")
    return name, int(k) if k else None
