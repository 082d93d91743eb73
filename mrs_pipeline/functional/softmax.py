"""Losses that pick the right item out of many: softmax over the catalogue, or over a sample of it."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mrs_pipeline.functional.distinct import mean_of


def full_softmax(
    states: Tensor, candidates: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of states [P, D] over all candidates [n, D]; targets [P] are rows of `candidates`.

    States whose weight [P] is zero do not count; all do if None.
    """
    return _mean_entropy(states @ candidates.T, targets, weights)


def sampled_softmax(
    states: Tensor,
    positives: Tensor,
    negatives: Tensor,
    hits: Tensor,
    n_candidates: int,
    *,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of each state's own positive against K negatives that all of them share.

    The negatives were drawn uniformly, with replacement; each stands for n_candidates / K items, so that the
    expected denominator is that of the full softmax.

    Args:
        states: [P, D].
        positives: [P, D] the right item of each state.
        negatives: [K, D].
        hits: [P, K] bool where a negative is that state's right item; it does not count.
        n_candidates: how many items the negatives were drawn from.
        weights: [P] which states count; all if None.
    """
    right = (states * positives).sum(1, keepdim=True)
    share = math.log(n_candidates / len(negatives))
    wrong = (states @ negatives.T + share).masked_fill(hits, -torch.inf)
    zeros = torch.zeros(len(states), dtype=torch.int64, device=states.device)
    return _mean_entropy(torch.cat([right, wrong], dim=1), zeros, weights)


def _mean_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of logits [P, n] over the rows that count."""
    if weights is None:
        return cross_entropy(logits, targets)
    return mean_of(cross_entropy(logits, targets, reduction="none"), weights)


def in_batch_softmax(
    states: Tensor, items: Tensor, places: Tensor, shares: Tensor, not_negative: Tensor
) -> Tensor:
    """Cross-entropy of each state's item among the items that occur in the batch.

    An item is in the batch about as often as it is popular, so it would be held down for its popularity; taking
    log share off its score corrects that (Yi et al., RecSys 2019).

    Args:
        states: [P, D].
        items: [n, D] distinct items of the batch.
        places: [P] row of each state's right item.
        shares: [n] how likely a draw is each of the items.
        not_negative: [P, n] bool items that are no negatives of a state, such as what its user has taken.
    """
    right = torch.zeros_like(not_negative).scatter_(1, places.unsqueeze(1), True)
    logits = (states @ items.T - shares.log()).masked_fill(not_negative & ~right, -torch.inf)
    return cross_entropy(logits, places)
