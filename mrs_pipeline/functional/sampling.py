"""Drawing negatives. Batches are put together in `training.batches`."""

from dataclasses import dataclass

import torch
from torch import Tensor


def random_below(counts: Tensor, generator: torch.Generator) -> Tensor:
    """[B] uniform whole numbers, each from 0 up to but without its count [B] int64."""
    # 62 random bits modulo a count: the bias is below 1e-12 for any catalogue
    bits = torch.randint(2**62, counts.shape, generator=generator, device=counts.device)
    return bits % counts


@dataclass(frozen=True)
class NegativeSampler:
    """Draws items that a user has not interacted with, uniformly and without rejection.

    Among a user's sorted positives a_0 < a_1 < ..., exactly a_k - k other items lie below a_k. So the r-th
    item that is *not* a positive is r + #{k : a_k - k <= r}, which one binary search over flat keys finds.
    Only items that occur in the training interactions are drawn: an item nobody has seen yet is no evidence.

    Attributes:
        items: [W] int64 the items that may be drawn, ascending.
        gaps: [E] int64 ascending flat keys user * (W + 1) + (a_k - k), a_k counted among `items`.
        starts: [U] int64 where a user's keys begin.
        free: [U] int64 how many items a user leaves to draw from.
    """

    items: Tensor
    gaps: Tensor
    starts: Tensor
    free: Tensor

    @classmethod
    def from_pairs(cls, users: Tensor, items: Tensor, n_users: int) -> "NegativeSampler":
        """From training pairs users [E], items [E]; a pair that is repeated counts once."""
        known, place = torch.unique(items, return_inverse=True)
        width = len(known) + 1
        keys = torch.unique(users * width + place)
        owner = keys // width
        degrees = torch.bincount(owner, minlength=n_users)
        starts = degrees.cumsum(0) - degrees
        rank = torch.arange(len(keys), device=keys.device) - starts[owner]
        return cls(known, keys - rank, starts, len(known) - degrees)

    def draw(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """A negative item for each entry of `users`, of the same shape, be it [B] or [B, n].

        Every user must have at least one item left (`free`).
        """
        rank = random_below(self.free[users], generator)
        keys = users * (len(self.items) + 1) + rank
        below = torch.searchsorted(self.gaps, keys, right=True) - self.starts[users]
        return self.items[rank + below]
