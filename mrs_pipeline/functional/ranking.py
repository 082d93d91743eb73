"""Places in a ranking and the k best of a row, exactly; equal scores by column, or in an order that is given.

What a place is worth is said in `metrics`.
"""

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import SIZES_KNOWN, has_kernel


def top_k(scores: Tensor, k: int, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Values [B, k] and columns [B, k] of the k largest scores of each row [B, C], best first.

    Equal scores are ordered by column number, or by `order` [C] (a permutation: the place of each column among its
    equals), also where the tie runs across the k-th place, which `torch.topk` leaves open. A NaN among the scores
    would come out first. A GPU's host does not wait to learn whether there are ties.

    >>> values, columns = top_k(torch.tensor([[1.0, 3.0, 2.0, 3.0]]), 2)
    >>> columns  # of the two threes the left one comes first
    tensor([[1, 3]])
    """
    width = scores.shape[1]
    if not has_kernel(SIZES_KNOWN, scores) and scores.dtype == torch.float32:
        return top_k_reference(scores, k, order)
    values, columns = torch.topk(scores, min(k + 1, width), sorted=True)
    if width > k:
        open_rows = torch.nonzero(values[:, k] == values[:, k - 1]).flatten()
        values, columns = values[:, :k], columns[:, :k]
        if len(open_rows):
            threshold = values[open_rows, -1:]
            values[open_rows], columns[open_rows] = _top_k_by_threshold(
                scores[open_rows], threshold, k, order
            )
    return _order_ties(values, columns, order)


def top_k_reference(scores: Tensor, k: int, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`top_k` of float32 scores through whole numbers that are all different: the score first, then the place."""
    width = scores.shape[1]
    bits = (scores + 0.0).view(torch.int32)  # zero has two signs and one rank
    ascending = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    place = torch.arange(width, device=scores.device) if order is None else order
    columns = torch.topk((ascending << 32) | (width - 1 - place), min(k, width), sorted=True).indices
    return scores.gather(1, columns), columns


def _top_k_by_threshold(
    scores: Tensor, threshold: Tensor, k: int, order: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All columns above the k-th value [B, 1] and the first of those equal to it, until there are k."""
    if order is not None:
        columns_in_order = torch.argsort(order)
        values, columns = _top_k_by_threshold(scores[:, columns_in_order], threshold, k, None)
        return values, columns_in_order[columns]
    above = ~(scores <= threshold)  # so that a NaN is not lost
    level = scores == threshold
    missing = k - above.sum(1, keepdim=True)
    chosen = above | (level & (level.cumsum(1) <= missing))
    columns = torch.nonzero(chosen)[:, 1].view(len(scores), k)
    return scores.gather(1, columns), columns


def _order_ties(values: Tensor, columns: Tensor, order: Tensor | None) -> tuple[Tensor, Tensor]:
    by_column = (columns if order is None else order[columns]).argsort(dim=1)
    columns = columns.gather(1, by_column)
    values, by_value = values.gather(1, by_column).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, by_value)


def ranks_of(scores: Tensor, rows: Tensor, columns: Tensor, order: Tensor | None = None) -> Tensor:
    """[n] int64 places, from 1, of the entries (`rows` [n] ascending, `columns` [n]) in their rows of `scores`.

    The place is one more than the number of larger scores in the row, and of equal ones further left, or earlier in
    `order` [C] (a permutation). Two passes over the row count them; nothing is sorted.

    >>> scores = torch.tensor([[1.0, 3.0, 2.0, 3.0]])
    >>> ranks_of(scores, rows=torch.tensor([0, 0]), columns=torch.tensor([2, 3]))
    tensor([3, 2])
    """
    size = max(1, len(scores))
    parts = [
        _ranks(scores, rows[start : start + size], columns[start : start + size], order)
        for start in range(0, len(rows), size)
    ]
    return torch.cat(parts) if parts else rows


def _ranks(scores: Tensor, rows: Tensor, columns: Tensor, order: Tensor | None) -> Tensor:
    mine = scores.index_select(0, rows)
    own = mine.gather(1, columns.unsqueeze(1))
    marks = torch.empty_like(mine)  # counted as floats, exact below 2^24 columns and much faster than bool
    ranks = 1 + torch.gt(mine, own, out=marks).sum(1).long()
    if not has_kernel(SIZES_KNOWN, scores):
        place = torch.arange(mine.shape[1], device=mine.device) if order is None else order
        return ranks + ((mine == own) & (place < place[columns].unsqueeze(1))).sum(1)
    level = torch.eq(mine, own, out=marks).sum(1)
    tied = torch.nonzero(level > 1).flatten()
    if len(tied):
        place = torch.arange(mine.shape[1], device=mine.device) if order is None else order
        left = place < place[columns[tied]].unsqueeze(1)
        ranks[tied] += ((mine[tied] == own[tied]) & left).sum(1)
    return ranks
