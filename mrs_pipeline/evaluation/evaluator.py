"""Full ranking: where each held-out item stands among all candidates, and every user's metrics from that.

A `RankingTask` fixes users, truth, exclusions and candidates once; it can then be put to any model at any
epoch. No list is made: the rank of a true item is found by counting the scores above its own. Formulas of
metrics belong in `functional.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrs_pipeline.evaluation.scoring import RowItems, masked_scores, pair_keys
from mrs_pipeline.functional.metrics import ranking_metrics
from mrs_pipeline.functional.ranking import ranks_of
from mrs_pipeline.models.base import AnyRecommender
from mrs_pipeline.types import BoolArray, FloatArray, Interactions


@dataclass(frozen=True)
class RankingTask:
    """Whom to rank for, among what, and what is right.

    Attributes:
        users: [B] int64 users that are asked about, ascending.
        excluded: items of each of them that are not ranked.
        truth: items of each of them that are looked for, at least one.
        blocked: [I] bool items that are no candidates for anyone; None where all are.
    """

    users: Tensor
    excluded: RowItems
    truth: RowItems
    blocked: Tensor | None


def ranking_task(
    truth: Interactions,
    exclude: Sequence[Interactions],
    *,
    candidates: BoolArray | None = None,
    device: torch.device | str = "cpu",
) -> RankingTask:
    """The task of finding `truth` for each user who has any.

    A true pair that is itself excluded, or whose item is no candidate, cannot be found and does not count.

    Args:
        truth: held-out interactions.
        exclude: interactions whose pairs are never ranked.
        candidates: [I] bool items to rank; None for all.
        device: where ranking will run.
    """
    excluded, wanted = pair_keys(exclude, truth.n_items), pair_keys([truth], truth.n_items)
    wanted = np.setdiff1d(wanted, excluded, assume_unique=True)
    if candidates is not None:
        wanted = wanted[candidates[wanted % truth.n_items]]
    users = np.unique(wanted // truth.n_items)
    return RankingTask(
        users=torch.from_numpy(users).to(device),
        excluded=RowItems.of_users(excluded, users, truth.n_items, device),
        truth=RowItems.of_users(wanted, users, truth.n_items, device),
        blocked=None if candidates is None else torch.from_numpy(~candidates).to(device),
    )


def user_metrics(model: AnyRecommender, task: RankingTask, ks: Sequence[int]) -> dict[str, FloatArray]:
    """`<metric>@<k>` -> [B] float32, the value of each user of `task.users`."""
    ranks = [torch.zeros(0, dtype=torch.int64, device=task.users.device)]
    for rows, scores in masked_scores(model, task.users, task.excluded, task.blocked):
        ranks.append(ranks_of(scores, *task.truth.part(rows.start, rows.stop)))
    metrics = ranking_metrics(torch.cat(ranks), task.truth.rows, len(task.users), ks)
    return {name: values.float().cpu().numpy() for name, values in metrics.items()}
