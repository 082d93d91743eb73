"""Ranked lists of a model, for serving. Metrics need no lists and are in `evaluator`."""

from collections.abc import Sequence

import numpy as np
import torch

from mrs_pipeline.evaluation.folded import Ranker
from mrs_pipeline.evaluation.scoring import RowItems, masked_scores, pair_keys
from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.types import IntArray, Interactions, TopK


def rank(model: Ranker, users: IntArray, k: int, exclude: Sequence[Interactions]) -> TopK:
    """The `k` best items of each of `users` [B], in the order given, leaving out the pairs in `exclude`."""
    distinct, place = np.unique(users, return_inverse=True)
    excluded = RowItems.of_users(pair_keys(exclude, model.n_items), distinct, model.n_items, model.device)
    items = torch.full((len(distinct), k), -1, dtype=torch.int64, device=model.device)
    scores = torch.full((len(distinct), k), -torch.inf, device=model.device)
    length = min(k, model.n_items)
    for rows, found in masked_scores(model, torch.from_numpy(distinct).to(model.device), excluded):
        values, columns = top_k(found, length)
        scores[rows, :length] = values
        items[rows, :length] = columns.masked_fill(values == -torch.inf, -1)
    return TopK(users=users, items=items.cpu().numpy()[place], scores=scores.cpu().numpy()[place])
