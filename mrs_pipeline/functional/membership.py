"""Which users have taken which of some items, for losses that must not treat the one as a negative of the other."""

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import SIZES_KNOWN, has_kernel
from mrs_pipeline.functional.sparse import Csr, gather_rows


def taken(history: Csr, users: Tensor, items: Tensor) -> Tensor:
    """[B, n] bool: whether `users` [B] have taken `items` [n], which ascend; `history` [U, I] holds who took what.

    On a CPU the work is the sum of the users' histories; elsewhere, where the host does not know that sum, it is a
    binary search for each of the B n pairs.
    """
    if not has_kernel(SIZES_KNOWN, users):
        return taken_reference(history, users, items)
    rows, theirs = gather_rows(history.indptr, history.indices, users)
    places = torch.searchsorted(items, theirs).clamp(max=len(items) - 1)
    hit = items[places] == theirs
    found = torch.zeros(len(users), len(items), dtype=torch.bool, device=users.device)
    found[rows[hit], places[hit]] = True
    return found


def taken_reference(history: Csr, users: Tensor, items: Tensor) -> Tensor:
    """Plain `taken`, for `items` in any order."""
    wanted = users.unsqueeze(1) * history.shape[1] + items
    keys = history.row_numbers() * history.shape[1] + history.indices
    if not len(keys):
        return torch.zeros_like(wanted, dtype=torch.bool)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return keys[places] == wanted
