"""Ranking metrics, all from the places of the relevant items. Whom and what to rank is said in `evaluation`."""

from collections.abc import Sequence

import torch
from torch import Tensor

METRICS = ("recall", "ndcg", "precision", "map", "mrr", "hit")


def ranking_metrics(ranks: Tensor, rows: Tensor, n_rows: int, ks: Sequence[int]) -> dict[str, Tensor]:
    """`<metric>@<k>` -> [B] float64 for each metric of `METRICS` and each k.

    For a row with n relevant items, of which the p-th best placed stands at r_p, sums over those with r_p <= k:
    recall = sum 1 / n; precision = sum 1 / k; ndcg = sum 1 / log2(r_p + 1) over the same sum for places 1 to
    min(n, k); map = sum (p / r_p) / min(n, k); mrr = 1 / r_1; hit = 1 if r_1 <= k. So precision at a place
    counts the relevant items up to it.

    Args:
        ranks: [T] int64 places, from 1, of the relevant items.
        rows: [T] int64 ascending, 0..B-1, each at least once.
        n_rows: B.
        ks: cut-offs.
    """
    n = torch.bincount(rows, minlength=n_rows)
    by_rank = torch.argsort(ranks)
    ranks = ranks[by_rank[torch.argsort(rows[by_rank], stable=True)]]
    place = ranks.double()
    nth = (torch.arange(len(rows), device=rows.device) - (n.cumsum(0) - n)[rows] + 1).double()
    gain, precision = 1 / torch.log2(place + 1), nth / place
    ideal = (1 / torch.log2(torch.arange(2, max(ks) + 2, device=rows.device, dtype=torch.float64))).cumsum(0)
    metrics: dict[str, Tensor] = {}
    for k in ks:
        inside = (ranks <= k).double()
        found, reachable = _sum(inside, rows, n_rows), n.clamp(max=k)
        metrics[f"recall@{k}"] = found / n
        metrics[f"ndcg@{k}"] = _sum(gain * inside, rows, n_rows) / ideal[reachable - 1]
        metrics[f"precision@{k}"] = found / k
        metrics[f"map@{k}"] = _sum(precision * inside, rows, n_rows) / reachable
        metrics[f"mrr@{k}"] = _sum(inside * (nth == 1) / place, rows, n_rows)
        metrics[f"hit@{k}"] = (found > 0).double()
    return metrics


def _sum(values: Tensor, rows: Tensor, n_rows: int) -> Tensor:
    return values.new_zeros(n_rows).index_add_(0, rows, values)
