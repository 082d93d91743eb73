"""What models with costly vectors share: the distinct users and items of a batch, and losses over them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, info_nce_counted, squared_norm
from mrs_pipeline.models.base import PairBatch


@dataclass(frozen=True)
class DistinctRows:
    """The users and items of a batch, each once: what is costly is computed for these and then spread.

    Attributes:
        users: [n] int64 distinct users.
        items: [m] int64 distinct items, positives and negatives.
        user_place: [B] where a row's user stands among `users`.
        item_place: [2 B] where the positives, then the negatives, stand among `items`.
        user_counts: [n] how often a user stands in the batch.
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
        users, user_place, user_counts = torch.unique(batch.users, return_inverse=True, return_counts=True)
        both = torch.cat([batch.positives, batch.negatives])
        items, item_place = torch.unique(both, return_inverse=True)
        positive_counts = torch.bincount(item_place[: len(batch.positives)], minlength=len(items))
        return cls(users, items, user_place, item_place, user_counts, positive_counts)

    def pair_rows(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From vectors [n, D] and [m, D] the rows [B, D] of users, positives and negatives."""
        positives, negatives = take_rows(items, self.item_place).chunk(2)
        return take_rows(users, self.user_place), positives, negatives


def counted_contrast(anchors: Tensor, others: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """`info_nce_counted` over the rows with a count above zero; zero where there is none."""
    rows = torch.nonzero(counts).flatten()
    if not len(rows):
        return anchors.sum() * 0
    return info_nce_counted(
        take_rows(anchors, rows), take_rows(others, rows), take_rows(counts, rows), temperature
    )


@dataclass(frozen=True)
class TwoSides:
    """Nodes whose final vector is what behaviour says of them plus what content says (MGCN, SMORE).

    Attributes:
        behaviour: [n, D].
        side: [n, D].
        known: [n] bool, whether there is content.
    """

    behaviour: Tensor
    side: Tensor
    known: Tensor

    @property
    def final(self) -> Tensor:
        """[n, D]."""
        return self.behaviour + self.side

    def contrast(self, counts: Tensor, temperature: float) -> Tensor:
        """InfoNCE of side and behaviour where there is content; node i stands `counts[i]` times in the batch."""
        return counted_contrast(self.side, self.behaviour, counts * self.known, temperature)


def two_sided_losses(
    rows: DistinctRows,
    users: TwoSides,
    items: TwoSides,
    *,
    reg_weight: float,
    cl_weight: float,
    temperature: float,
) -> dict[str, Tensor]:
    """BPR and squared norm of the final vectors, contrast over the batch's users and positive items."""
    final = rows.pair_rows(users.final, items.final)
    contrast = users.contrast(rows.user_counts, temperature) + items.contrast(
        rows.positive_counts, temperature
    )
    return {
        "bpr": bpr_inner(*final),
        "reg": reg_weight * squared_norm(*final),
        "contrast": cl_weight * contrast,
    }
