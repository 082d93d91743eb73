"""Losses that pick the right item out of many: softmax over the catalogue, or over a sample of it."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def full_softmax(states: Tensor, candidates: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of states [P, D] over all candidates [n, D]; targets [P] are rows of `candidates`."""
    return cross_entropy(states @ candidates.T, targets)


def sampled_softmax(
    states: Tensor, positives: Tensor, negatives: Tensor, hits: Tensor, n_candidates: int
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
    """
    right = (states * positives).sum(1, keepdim=True)
    share = math.log(n_candidates / len(negatives))
    wrong = (states @ negatives.T + share).masked_fill(hits, -torch.inf)
    zeros = torch.zeros(len(states), dtype=torch.int64, device=states.device)
    return cross_entropy(torch.cat([right, wrong], dim=1), zeros)
