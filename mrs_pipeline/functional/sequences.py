"""Histories as sequences: each user's items in the order of time, cut out in rows of one length.

A history of n items is n + 1 tokens: a start token, which is what a user without any history consists of, and
the items. Rows are padded on the left, so that the latest token always stands in the last column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.types import IntArray, Interactions

PAD = -1
"""Stands where a history has not begun."""


@dataclass(frozen=True)
class OrderedHistories:
    """Tokens of each user, one user after the other.

    Attributes:
        starts: [U + 1] int64 where each user's tokens begin.
        tokens: [E + U] int64 items in the order of time, each user's after `start`.
        start: the start token, one above the last item.
        times: [E + U] int64 seconds since 1970, when each item was taken; a start token has the time of the first item,
            and 0 where there is none. None where the order is all that is known.
    """

    starts: Tensor
    tokens: Tensor
    start: int
    times: Tensor | None = None

    @classmethod
    def from_rows(
        cls, users: Tensor, items: Tensor, times: Tensor | None, n_users: int, n_items: int
    ) -> "OrderedHistories":
        """From interactions [E] in any order, rows of one moment by item; without times, in the order as given."""
        everyone = torch.arange(n_users, device=users.device)
        before_all = torch.full_like(everyone, torch.iinfo(torch.int64).min)
        owners = torch.cat([everyone, users])
        tokens = torch.cat([torch.full_like(everyone, n_items), items])
        moments = torch.cat(
            [before_all, torch.arange(len(users), device=users.device) if times is None else times]
        )
        order = torch.argsort(tokens, stable=True)
        # the start token has the largest number; its time puts it in front
        for key in (moments, owners):
            order = order[torch.argsort(key[order], stable=True)]
        starts = torch.zeros(n_users + 1, dtype=torch.int64, device=users.device)
        starts[1:] = torch.bincount(owners, minlength=n_users).cumsum(0)
        known = None if times is None else _with_first(moments[order], starts)
        return cls(starts, tokens[order], n_items, known)

    @classmethod
    def of(cls, rows: Interactions, device: torch.device | str = "cpu") -> "OrderedHistories":
        """Everyone that `rows` count is one history, in the order of time, or of the rows where times are not known."""
        users, items = (torch.from_numpy(np.array(part)).to(device) for part in (rows.users, rows.items))
        times = None if rows.times is None else torch.from_numpy(np.array(rows.times)).to(device)
        return cls.from_rows(users, items, times, rows.n_users, rows.n_items)

    @classmethod
    def from_lists(
        cls,
        lists: Sequence[IntArray],
        n_items: int,
        device: torch.device | str = "cpu",
        times: Sequence[IntArray] | None = None,
    ) -> "OrderedHistories":
        """From the items [n] int64 of each history, oldest first, and when each was taken where that is known.

        >>> OrderedHistories.from_lists([np.array([4, 1]), np.array([], dtype=np.int64)], 9).tokens
        tensor([9, 4, 1, 9])
        """
        lengths = np.array([len(each) + 1 for each in lists], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
        begins = torch.from_numpy(starts).to(device)
        tokens = torch.from_numpy(_after_starts(lists, starts, n_items)).to(device)
        if times is None:
            return cls(begins, tokens, n_items)
        moments = torch.from_numpy(_after_starts(times, starts, 0)).to(device)
        return cls(begins, tokens, n_items, _with_first(moments, begins))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Tensor) -> "OrderedHistories":
        """The histories `rows` [B] int64, in that order."""
        counts = self.starts.diff()[rows]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1]), device=counts.device) - torch.repeat_interleave(
            starts[:-1], counts
        )
        places = torch.repeat_interleave(self.starts[rows], counts) + within
        times = None if self.times is None else self.times[places]
        return OrderedHistories(starts, self.tokens[places], self.start, times)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """(row [E], item [E]) int64 of all events, without the start tokens."""
        everyone = torch.arange(len(self), device=self.tokens.device)
        rows = torch.repeat_interleave(everyone, self.starts.diff())
        real = self.tokens != self.start
        return rows[real], self.tokens[real]

    @property
    def lengths(self) -> Tensor:
        """[U] items of each user."""
        return self.starts.diff() - 1

    def rows(self, users: Tensor, ends: Tensor, length: int) -> Tensor:
        """[B, length] the tokens of `users` [B] up to and without place `ends` [B], padded on the left."""
        places = _places(ends, length)
        found = self.tokens[self.starts[users].unsqueeze(1) + places.clamp(min=0)]
        return found.masked_fill(places < 0, PAD)

    def times_of_rows(self, users: Tensor, ends: Tensor, length: int) -> Tensor | None:
        """[B, length] int64 when the tokens of `rows` were taken, at padding the first; None where not known."""
        if self.times is None:
            return None
        return self.times[self.starts[users].unsqueeze(1) + _places(ends, length).clamp(min=0)]

    def latest(self, users: Tensor, length: int) -> Tensor:
        """[B, length] the last tokens of `users` [B]; the last column is never padding."""
        return self.rows(users, self.lengths[users] + 1, length)

    def subsequences(self, length: int) -> tuple[Tensor, Tensor]:
        """Histories cut from their end into subsequences of `length` steps: (user [n], place of the last target [n]).

        Every item of every history is the target of exactly one step.
        """
        counts = self.lengths
        cuts = (counts + length - 1) // length
        users = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), cuts)
        number = torch.arange(len(users), device=counts.device) - (cuts.cumsum(0) - cuts)[users]
        return users, counts[users] - number * length


def _places(ends: Tensor, length: int) -> Tensor:
    """[B, length] places up to and without `ends` [B]; negative before a history begins."""
    return ends.unsqueeze(1) + torch.arange(-length, 0, device=ends.device)


def _with_first(times: Tensor, starts: Tensor) -> Tensor:
    """`times` [E + U] with the time of the first item at each of the `starts` [U + 1], 0 where there is none."""
    begins, lengths = starts[:-1], starts.diff() - 1
    first = torch.where(lengths > 0, times[(begins + 1).clamp(max=len(times) - 1)], 0)
    return times.index_copy(0, begins, first)


def _after_starts(lists: Sequence[IntArray], starts: IntArray, at_start: int) -> IntArray:
    """[E + U] the lists one after the other, each behind its start."""
    found = np.full(starts[-1], at_start, dtype=np.int64)
    for start, values in zip(starts, lists, strict=False):
        found[start + 1 : start + 1 + len(values)] = values
    return found
