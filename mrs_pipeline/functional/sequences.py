"""Histories as sequences: each user's items in the order of time, cut out in rows of one length.

A history of n items is n + 1 tokens: a start token, which is what a user without any history consists of, and
the items. Rows are padded on the left, so that the latest token always stands in the last column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.types import IntArray

PAD = -1
"""Stands where a history has not begun."""


@dataclass(frozen=True)
class OrderedHistories:
    """Tokens of each user, one user after the other.

    Attributes:
        starts: [U + 1] int64 where each user's tokens begin.
        tokens: [E + U] int64 items in the order of time, each user's after `start`.
        start: the start token, one above the last item.
    """

    starts: Tensor
    tokens: Tensor
    start: int

    @classmethod
    def from_rows(
        cls, users: Tensor, items: Tensor, times: Tensor, n_users: int, n_items: int
    ) -> "OrderedHistories":
        """From interactions [E] in any order; rows of one moment are ordered by item."""
        everyone = torch.arange(n_users, device=users.device)
        before_all = torch.full_like(everyone, torch.iinfo(torch.int64).min)
        owners = torch.cat([everyone, users])
        tokens = torch.cat([torch.full_like(everyone, n_items), items])
        order = torch.argsort(tokens, stable=True)
        # the start token has the largest number; its time puts it in front
        for key in (torch.cat([before_all, times]), owners):
            order = order[torch.argsort(key[order], stable=True)]
        starts = torch.zeros(n_users + 1, dtype=torch.int64, device=users.device)
        starts[1:] = torch.bincount(owners, minlength=n_users).cumsum(0)
        return cls(starts, tokens[order], n_items)

    @classmethod
    def from_lists(
        cls, lists: Sequence[IntArray], n_items: int, device: torch.device | str = "cpu"
    ) -> "OrderedHistories":
        """From the items [n] int64 of each history, oldest first.

        >>> OrderedHistories.from_lists([np.array([4, 1]), np.array([], dtype=np.int64)], 9).tokens
        tensor([9, 4, 1, 9])
        """
        lengths = np.array([len(each) + 1 for each in lists], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
        tokens = np.full(starts[-1], n_items, dtype=np.int64)
        for start, items in zip(starts, lists, strict=False):
            tokens[start + 1 : start + 1 + len(items)] = items
        return cls(torch.from_numpy(starts).to(device), torch.from_numpy(tokens).to(device), n_items)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Tensor) -> "OrderedHistories":
        """The histories `rows` [B] int64, in that order."""
        counts = self.starts.diff()[rows]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1]), device=counts.device) - torch.repeat_interleave(
            starts[:-1], counts
        )
        return OrderedHistories(
            starts, self.tokens[torch.repeat_interleave(self.starts[rows], counts) + within], self.start
        )

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
        places = ends.unsqueeze(1) + torch.arange(-length, 0, device=users.device)
        found = self.tokens[self.starts[users].unsqueeze(1) + places.clamp(min=0)]
        return found.masked_fill(places < 0, PAD)

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
