"""Rows of a batch of pairs: gathered as they are, or the distinct users and items first, where vectors are costly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import counted, distinct, occurrences, repeated
from mrs_pipeline.functional.kernels.dispatch import SIZES_KNOWN, has_kernel
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.base import PairBatch


def pair_rows(users: Tensor, items: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Rows [B, D] of the batch's users, positives and negatives; both kinds of items in one gather.

    >>> batch = PairBatch(torch.tensor([1]), torch.tensor([0]), torch.tensor([2]))
    >>> users, items = torch.tensor([[1.0], [2.0]]), torch.tensor([[10.0], [20.0], [30.0]])
    >>> pair_rows(users, items, batch)
    (tensor([[2.]]), tensor([[10.]]), tensor([[30.]]))
    """
    both = take_rows(items, torch.cat([batch.positives, batch.negatives]))
    positives, negatives = both.chunk(2)
    return take_rows(users, batch.users), positives, negatives


def distinct_rows(batch: PairBatch) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]:
    """The users and the positive items of a batch, each once, ascending, with the weights of `once`."""
    return once(batch.users), once(batch.positives)


def once(values: Tensor) -> tuple[Tensor, Tensor | None]:
    """The distinct `values` ascending, and one for each, zero for what only fills up; None where nothing does."""
    if has_kernel(SIZES_KNOWN, values):
        return torch.unique(values), None
    found, _, counts = counted(values)
    return found, (counts > 0).to(torch.get_default_dtype())


@dataclass(frozen=True)
class DistinctRows:
    """The users and items of a batch, each once: what is costly is computed for these and then spread.

    Attributes:
        users: [n] int64 distinct users.
        items: [m] int64 distinct items, positives and negatives.
        user_place: [B] where a row's user stands among `users`.
        item_place: [2 B] where the positives, then the negatives, stand among `items`.
        user_counts: [n] how often a user stands in the batch; zero for what only fills up (`distinct`).
        positive_counts: [m] how often an item is a positive.
    """

    users: Tensor
    items: Tensor
    user_place: Tensor
    item_place: Tensor
    user_counts: Tensor
    positive_counts: Tensor

    @classmethod
    def of(cls, batch: PairBatch) -> "DistinctRows":
        """Of one batch."""
        users, user_place, user_counts = counted(batch.users)
        both = torch.cat([batch.positives, batch.negatives])
        items, item_place = distinct(both)
        positive_counts = occurrences(item_place[: len(batch.positives)], len(items))
        return cls(users, items, user_place, item_place, user_counts, positive_counts)

    @property
    def user_weights(self) -> Tensor | None:
        """[n] one for each of `users`, zero for what only fills up; None where nothing does."""
        return None if has_kernel(SIZES_KNOWN, self.users) else _weights(self.user_counts > 0)

    @property
    def item_weights(self) -> Tensor | None:
        """[m] the same of `items`."""
        return None if has_kernel(SIZES_KNOWN, self.items) else _weights(~repeated(self.items))

    def item_counts(self) -> Tensor:
        """[m] int64 how often an item stands in the batch, as positive or negative; zero for what only fills up."""
        return occurrences(self.item_place, len(self.items))

    def pair_rows(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From vectors [n, D] and [m, D] the rows [B, D] of users, positives and negatives."""
        positives, negatives = take_rows(items, self.item_place).chunk(2)
        return take_rows(users, self.user_place), positives, negatives


def _weights(counting: Tensor) -> Tensor:
    return counting.to(torch.get_default_dtype())
