"""Full ranking: where each held-out item stands among all candidates, and the lists where a metric reads them.

A `RankingTask` fixes users, truth, exclusions and candidates once; it can then be put to any model at any
epoch. The rank of a true item is found by counting the scores above its own: no list is made unless it is asked for.
Formulas of metrics belong in `metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.evaluation.folded import Ranker
from mrs_pipeline.evaluation.scoring import RowItems, masked_scores, pair_keys
from mrs_pipeline.functional.ranking import ranks_of, top_k
from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Background, Evidence
from mrs_pipeline.types import BoolArray, FloatArray, IntArray, Interactions


@dataclass(frozen=True)
class RankingTask:
    """Whom to rank for, among what, and what is right.

    Attributes:
        users: [B] int64 users that are asked about, ascending.
        excluded: items of each of them that are not ranked.
        truth: items of each of them that are looked for, at least one.
        blocked: [I] bool items that are no candidates for anyone; None where all are.
        ties: [I] int64 a permutation drawn by seed: the order of items with equal scores.
        catalogue: how many items are candidates.
        candidates: [B] int64 how many of these are ranked for each user.
    """

    users: Tensor
    excluded: RowItems
    truth: RowItems
    blocked: Tensor | None
    ties: Tensor
    catalogue: int
    candidates: IntArray


def ranking_task(
    truth: Interactions,
    exclude: Sequence[Interactions],
    *,
    candidates: BoolArray | None = None,
    asked: BoolArray | None = None,
    tie_seed: int = 0,
    device: torch.device | str = "cpu",
) -> RankingTask:
    """The task of finding `truth` for each user who has any.

    A true pair that is itself excluded, or whose item is no candidate, cannot be found and does not count.

    Args:
        truth: held-out interactions.
        exclude: interactions whose pairs are never ranked.
        candidates: [I] bool items to rank; None for all.
        asked: [U] bool users to rank for; None for all.
        tie_seed: by which the order of equal scores is drawn: an order of the items' numbers would favour some.
        device: where ranking will run.
    """
    excluded, wanted = pair_keys(exclude, truth.n_items), pair_keys([truth], truth.n_items)
    wanted = np.setdiff1d(wanted, excluded, assume_unique=True)
    if candidates is not None:
        wanted = wanted[candidates[wanted % truth.n_items]]
    if asked is not None:
        wanted = wanted[asked[wanted // truth.n_items]]
    users = np.unique(wanted // truth.n_items)
    out = RowItems.of_users(excluded, users, truth.n_items, device)
    catalogue = truth.n_items if candidates is None else int(candidates.sum())
    rows, items = out.rows.cpu().numpy(), out.items.cpu().numpy()
    taken = rows if candidates is None else rows[candidates[items]]
    return RankingTask(
        users=torch.from_numpy(users).to(device),
        excluded=out,
        truth=RowItems.of_users(wanted, users, truth.n_items, device),
        blocked=None if candidates is None else torch.from_numpy(~candidates).to(device),
        ties=torch.randperm(truth.n_items, generator=torch.Generator().manual_seed(tie_seed)).to(device),
        catalogue=catalogue,
        candidates=catalogue - np.bincount(taken, minlength=len(users)),
    )


def ranking_evidence(
    model: Ranker, task: RankingTask, background: Background, list_length: int = 0
) -> Evidence:
    """Rank all candidates for the users of `task`.

    Relevant items that the model cannot rank stand at the very end, and in no list.

    Args:
        model: scores every item.
        task: whom and what to rank.
        background: training rows and facts of the items, for the metrics that read them.
        list_length: K; lists are made where it is positive.
    """
    ranks = [torch.zeros(0, dtype=torch.int64, device=task.users.device)]
    lists = None
    if list_length:
        lists = torch.full((len(task.users), list_length), -1, dtype=torch.int32, device=task.users.device)
    for rows, scores in masked_scores(model, task.users, task.excluded, task.blocked):
        ranks.append(ranks_of(scores, *task.truth.part(rows.start, rows.stop), task.ties))
        if lists is not None:
            _fill(lists[rows], scores, task.ties)
    places, rows_of, items = (
        part.cpu().numpy() for part in (torch.cat(ranks), task.truth.rows, task.truth.items)
    )
    places = _unranked_last(places, rows_of, model.rankable.cpu().numpy()[items], task.candidates)
    order = np.lexsort((places, rows_of))
    return Evidence(
        users=task.users.cpu().numpy(),
        ranks=places[order],
        rows=rows_of,
        items=items[order],
        candidates=task.candidates,
        catalogue=task.catalogue,
        background=background,
        lists=None if lists is None else lists.cpu().numpy(),
    )


def _unranked_last(places: IntArray, rows: IntArray, ranked: BoolArray, candidates: IntArray) -> IntArray:
    """[T] `places`, with the last ones of each row for those of its items that are not `ranked` [T]."""
    lost = np.flatnonzero(~ranked)
    if not len(lost):
        return places
    owners, first, counts = np.unique(rows[lost], return_index=True, return_counts=True)
    nth = np.arange(len(lost)) - np.repeat(first, counts)
    moved = places.copy()
    moved[lost] = np.repeat(candidates[owners] - counts, counts) + 1 + nth
    return moved


def _fill(lists: Tensor, scores: Tensor, ties: Tensor) -> None:
    """The best items of `scores` [b, I] into `lists` [b, K]; what may not be ranked scores -inf and stays out."""
    values, columns = top_k(scores, min(lists.shape[1], scores.shape[1]), ties)
    lists[:, : columns.shape[1]] = columns.masked_fill(values == -torch.inf, -1)


def list_length(metrics: Sequence[Metric], ks: Sequence[int]) -> int:
    """How long lists must be for these metrics: the largest cut-off, or 0 where none of them reads lists."""
    return max(ks) if any(Need.LISTS in metric.needs for metric in metrics) else 0


def user_metrics(evidence: Evidence, metrics: Sequence[Metric], ks: Sequence[int]) -> dict[str, FloatArray]:
    """`Metric.label` -> [B] float32 of each metric that has a value for each user; NaN where it is not defined."""
    return {
        metric.label(k): metric.per_user(evidence, k).astype(np.float32)
        for k in ks
        for metric in metrics
        if metric.per_user is not None and (metric.cutoff or k == ks[0])
    }


def chance_levels(evidence: Evidence, metrics: Sequence[Metric], ks: Sequence[int]) -> dict[str, float]:
    """`Metric.label` -> mean over users of the value that a random order of the candidates is expected to have."""
    return {
        metric.label(k): float(np.mean(metric.chance(evidence, k)))
        for k in ks
        for metric in metrics
        if metric.chance is not None and (metric.cutoff or k == ks[0])
    }


def overall_metrics(evidence: Evidence, metrics: Sequence[Metric], ks: Sequence[int]) -> dict[str, float]:
    """`Metric.label` -> value over all users, of each metric that has one; NaN where it is not defined."""
    return {
        metric.label(k): metric.overall(evidence, k)
        for k in ks
        for metric in metrics
        if metric.overall is not None and (metric.cutoff or k == ks[0])
    }
