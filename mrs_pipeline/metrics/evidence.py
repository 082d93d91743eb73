"""What metrics are computed from: places of the relevant items, lists, training counts, what is known of the items.

Nothing here is computed unless a metric asks for it; each derived array is computed once. B users are asked about, T
relevant items are looked for, I items are in the catalogue.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mrs_pipeline.types import FeatureMatrix, IntArray, Interactions

Values = npt.NDArray[np.float64]

_PLACES_AT_ONCE = 2**22
"""Places of lists that are looked at together: 32 MB of float64."""


@dataclass(frozen=True)
class Grouped:
    """A list of numbers for each of n rows, one after the other.

    Attributes:
        starts: [n + 1] int64 where each row's numbers begin.
        values: [starts[-1]] int64.
    """

    starts: IntArray
    values: IntArray

    @classmethod
    def of_pairs(cls, rows: IntArray, values: IntArray, n_rows: int) -> "Grouped":
        """From pairs (row, value) in the order of rows."""
        return cls(np.searchsorted(rows, np.arange(n_rows + 1)), values)

    def take(self, rows: IntArray) -> "Grouped":
        """The lists of some rows [m], in the order given."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return Grouped(starts, self.values[places])

    @property
    def rows(self) -> IntArray:
        """[starts[-1]] int64: the row of each value."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@dataclass(frozen=True)
class Attribute:
    """Values of one attribute of the items, such as genres; an item may have several or none.

    Attributes:
        name: of the attribute.
        values: for each of the I items the numbers of its values, each once.
        n_values: how many different values there are.
    """

    name: str
    values: Grouped
    n_values: int


@dataclass(frozen=True)
class ItemFacts:
    """What metrics may know of the items beside interactions.

    Attributes:
        features: modality -> feature matrix; may be empty.
        attribute: for calibration; None where none is named.
    """

    features: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    attribute: Attribute | None = None


@dataclass(frozen=True)
class Background:
    """What was known before testing: training rows, and what is known of the items.

    Attributes:
        train: training interactions.
        facts: features and attribute of the items.
    """

    train: Interactions
    facts: ItemFacts = field(default_factory=ItemFacts)

    @cached_property
    def pairs(self) -> IntArray:
        """Distinct training pairs as ascending keys user * I + item; 8 bytes each."""
        return np.unique(self.train.users * self.train.n_items + self.train.items)

    @cached_property
    def item_counts(self) -> IntArray:
        """[I] int64 training users of each item."""
        return np.bincount(self.pairs % max(self.train.n_items, 1), minlength=self.train.n_items)

    @cached_property
    def n_users(self) -> int:
        """Users with a training row."""
        return len(np.unique(self.train.users))

    def profiles(self, users: IntArray) -> Grouped:
        """Training items of each of `users` [B], ascending."""
        owners = self.pairs // max(self.train.n_items, 1)
        everyone = Grouped.of_pairs(owners, self.pairs % max(self.train.n_items, 1), self.train.n_users)
        return everyone.take(users)


@dataclass(frozen=True)
class Evidence:
    """The outcome of one ranking of all candidates for B users.

    Attributes:
        users: [B] int64 who they are.
        ranks: [T] int64 places, from 1, of the relevant items; ascending inside a row. Equal scores have been
            ordered by lot, so no two items of a user share a place.
        rows: [T] int64 ascending, 0..B-1: whose each of them is; every row at least once.
        items: [T] int64 the relevant items.
        candidates: [B] int64 how many items were ranked for each user.
        catalogue: how many items may be ranked for anyone.
        background: training rows and facts of the items.
        lists: [B, K] int32 the best items, best first, -1 after the last candidate; K is the largest cut-off. Holds
            4 B K bytes. None unless a metric needs it.
    """

    users: IntArray
    ranks: IntArray
    rows: IntArray
    items: IntArray
    candidates: IntArray
    catalogue: int
    background: Background
    lists: npt.NDArray[np.int32] | None = None

    @property
    def n_rows(self) -> int:
        """B."""
        return len(self.users)

    @property
    def item_counts(self) -> IntArray:
        """[I] int64 training users of each item."""
        return self.background.item_counts

    @cached_property
    def profiles(self) -> Grouped:
        """Training items of each of the B users."""
        return self.background.profiles(self.users)

    def top(self, k: int) -> npt.NDArray[np.int32]:
        """[B, min(k, K)] the first k places of each list."""
        if self.lists is None:
            raise ValueError("this metric reads lists: declare Need.LISTS")
        return self.lists[:, :k]

    def parts(self, k: int) -> Iterator[tuple[slice, npt.NDArray[np.int32]]]:
        """`top(k)` part by part: which rows they are, and the rows; so that what is derived of them stays small."""
        top = self.top(k)
        size = max(1, _PLACES_AT_ONCE // max(1, top.shape[1]))
        for start in range(0, len(top), size):
            yield slice(start, start + size), top[start : start + size]

    def mean_over_list(self, values: Values, k: int) -> Values:
        """[B] mean of `values` [I] over the first k places of each list; NaN for an empty list."""
        means = np.empty(self.n_rows)
        for rows, top in self.parts(k):
            listed = top >= 0
            means[rows] = divided(np.where(listed, values[top], 0.0).sum(1), listed.sum(1))
        return means

    def shown(self, k: int) -> IntArray:
        """[I] int64 in how many lists each item stands among the first k."""
        counts = np.zeros(len(self.item_counts), np.int64)
        for _, top in self.parts(k):
            counts += np.bincount(top[top >= 0], minlength=len(counts))
        return counts

    def total(self, values: Values) -> Values:
        """[B] sums of `values` [T] over the relevant items of each user."""
        return weighted_counts(self.rows, values, self.n_rows)

    @cached_property
    def relevant(self) -> IntArray:
        """[B] int64 n: relevant items of each user."""
        return np.bincount(self.rows, minlength=self.n_rows)

    @cached_property
    def order(self) -> IntArray:
        """[T] int64 p, from 1: a relevant item's number among its user's, by place."""
        return np.arange(len(self.rows)) - (np.cumsum(self.relevant) - self.relevant)[self.rows] + 1

    def inside(self, k: int) -> npt.NDArray[np.bool_]:
        """[T] whether a relevant item stands among the first k."""
        return self.ranks <= k

    def found(self, k: int) -> Values:
        """[B] relevant items among the first k."""
        return self.total(self.inside(k).astype(np.float64))


def weighted_counts(places: IntArray, weights: Values, n: int) -> Values:
    """[n] sum of the weights at each place."""
    return np.asarray(np.bincount(places, weights=weights, minlength=n), np.float64)


def divided(total: Values, count: npt.NDArray[np.integer] | npt.NDArray[np.floating]) -> Values:
    """`total / count`, NaN where `count` is 0."""
    result: Values = np.full(total.shape, np.nan)
    np.divide(total, count, out=result, where=count > 0)
    return result
