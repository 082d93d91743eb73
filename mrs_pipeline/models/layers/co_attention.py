"""Stacked co-attention of two sides, each a few vectors, computed from shares alone so that pairs stay cheap.

Liu et al., "User-Video Co-Attention Network for Personalized Micro-video Recommendation", WWW 2019.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.layers.parameters import linear, xavier


@dataclass(frozen=True)
class Tokens:
    """The vectors of n users, or of n items, and what attention needs of them at each of H hops.

    Attributes:
        vectors: [n, M, D].
        keys: [n, H, M, h] their part in the scores of their own attention.
        guides: [n, H, M, h] their part in the scores of the other side's.
    """

    vectors: Tensor
    keys: Tensor
    guides: Tensor

    def take(self, rows: Tensor) -> "Tokens":
        """Those of `rows` [B]."""
        return Tokens(*(gathered(getattr(self, each.name), rows) for each in fields(self)))

    def unsqueezed(self, dim: int) -> "Tokens":
        """With one more dimension, to be paired with all of the other side."""
        return Tokens(*(getattr(self, each.name).unsqueeze(dim) for each in fields(self)))


def gathered(table: Tensor, rows: Tensor) -> Tensor:
    """[B, ...] of `table` [n, ...] at `rows` [B]."""
    return take_rows(table.flatten(1), rows).view(len(rows), *table.shape[1:])


class CoAttendedSide(nn.Module):
    """The maps of one side: V W_V + b for its own attention, V W_s for the other's, and w of each hop."""

    def __init__(self, size: int, n_hops: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self._shape = (n_hops, hidden)
        self.own = nn.ModuleList(linear(size, hidden, generator) for _ in range(n_hops))
        self.other = nn.ModuleList(linear(size, hidden, generator, bias=False) for _ in range(n_hops))
        self.weight = nn.Parameter(xavier((n_hops, hidden), generator))

    def tokens(self, vectors: Tensor) -> Tokens:
        """Of vectors [n, M, D]."""
        keys, guides = (
            torch.stack([each(vectors) for each in maps], dim=1) for maps in (self.own, self.other)
        )
        return Tokens(vectors, keys, guides)


def co_attended(users: Tokens, items: Tokens, weights: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Shares [..., M_u] and [..., M_i] whose sums of vectors are the two sides after the last hop.

    s^0 and v^0 are the means; a = softmax_m w' tanh(V_m W_V + s^(h-1) W_s), v^h = v^(h-1) + sum_m a_m V_m; the users'
    side alike, each led by the other side of the hop before. Sides broadcast.

    Args:
        users: with n of shape [...].
        items: of a shape that broadcasts with it.
        weights: w [H, h] of the users' and of the items' side.
    """
    n_hops = users.keys.shape[-3]
    shares = tuple(
        torch.full_like(side.vectors[..., 0], 1 / side.vectors.shape[-2]) for side in (users, items)
    )
    for hop in range(n_hops):
        led = [_led(own, other, hop) for own, other in zip((items, users), reversed(shares), strict=True)]
        # the users' guide is what the items' shares say, and the other way round
        found = [
            ((side.keys[..., hop, :, :] + guide.unsqueeze(-2)).tanh() @ weight[hop]).softmax(-1)
            for side, guide, weight in zip((users, items), led, weights, strict=True)
        ]
        shares = tuple(before + more for before, more in zip(shares, found, strict=True))
    return shares[0], shares[1]


def _led(side: Tokens, shares: Tensor, hop: int) -> Tensor:
    """sum_m share_m V_m W_s, [..., h]; a sum of a few products, since a matrix product would write out all pairs."""
    guides = side.guides[..., hop, :, :]
    return torch.stack([shares[..., m : m + 1] * guides[..., m, :] for m in range(guides.shape[-2])]).sum(0)
