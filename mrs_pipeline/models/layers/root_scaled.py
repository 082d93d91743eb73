"""A user-item graph whose steps divide by the root of the receiving end's degree (MMSSL), and one that is found."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr

_SCORES = 2**22
"""Scores of users for items that stand in memory at once."""


@dataclass(frozen=True)
class RootScaled:
    """Sums over neighbours divided by the root of their number: D_u^-1/2 A and D_i^-1/2 A'."""

    users: SparseOperator
    items: SparseOperator

    @classmethod
    def from_csr(cls, graph: Csr) -> "RootScaled":
        """Of a graph of ones [U, I]."""
        return cls(_scaled(graph), _scaled(graph.transposed()))

    def to_users(self, items: Tensor) -> Tensor:
        """[U, D] from [I, D]."""
        return self.users @ items

    def to_items(self, users: Tensor) -> Tensor:
        """[I, D] from [U, D]."""
        return self.items @ users


def _scaled(graph: Csr) -> SparseOperator:
    degrees = graph.indptr.diff().to(graph.weights.dtype)
    return SparseOperator.from_csr(graph.with_weights(graph.weights * degrees[graph.row_numbers()].rsqrt()))


def nearest_items(users: Tensor, items: Tensor, asked: Tensor, offered: Tensor, k: int) -> Csr:
    """Graph of ones [U, I]: the k items of largest <user, item> for each user; block by block, never all scores.

    Args:
        users: [U, D].
        items: [I, D].
        asked: [U] bool users who get edges; a user whose vector is zero prefers nothing and gets none.
        offered: [I] bool items that may be chosen.
        k: edges of a user, fewer where fewer items are offered.
    """
    rows = torch.nonzero(asked & (users != 0).any(1)).flatten()
    columns = torch.nonzero(offered).flatten()
    k, block = min(k, len(columns)), max(1, _SCORES // max(1, len(columns)))
    among = items[columns].T.contiguous()
    found = [columns[top_k(users[some] @ among, k)[1]] for some in torch.split(rows, block)] if k else []
    chosen = torch.cat(found).flatten() if found else columns[:0]
    owners = rows.repeat_interleave(k) if found else rows[:0]
    return Csr.from_pairs(owners, chosen, users.new_ones(len(chosen)), (len(users), len(items)))
