"""Which users have taken which of some items, for losses that must not treat the one as a negative of the other."""

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr, gather_rows


def taken(history: Csr, users: Tensor, items: Tensor) -> Tensor:
    """[B, n] bool: whether `users` [B] have taken `items` [n], which ascend; `history` [U, I] holds who took what.

    The work is the sum of the users' histories, not B n comparisons.
    """
    rows, theirs = gather_rows(history.indptr, history.indices, users)
    places = torch.searchsorted(items, theirs).clamp(max=len(items) - 1)
    hit = items[places] == theirs
    found = torch.zeros(len(users), len(items), dtype=torch.bool, device=users.device)
    found[rows[hit], places[hit]] = True
    return found
