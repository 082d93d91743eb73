"""Vectors of users whom a model was not trained on, from the vectors of the items that they took."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.functional.sparse import Csr

RIDGE: Final = 0.1
"""Of the mean of a Gram matrix's diagonal: what is added to that diagonal."""


def history_matrix(histories: OrderedHistories, n_items: int) -> Csr:
    """Histories [B] as a matrix of ones [B, I]; what somebody took twice counts once."""
    keys = torch.unique(histories.pairs()[0] * n_items + histories.pairs()[1])
    ones = torch.ones(len(keys), device=keys.device)
    return Csr.from_pairs(keys // n_items, keys % n_items, ones, (len(histories), n_items))


def users_from_items(
    users: Tensor, items: Tensor, owners: Tensor, taken: Tensor
) -> Callable[[OrderedHistories], Tensor]:
    """A map from histories to user vectors, fitted to the users who were trained on.

    Each history is the direction h = sum of x_i over its items, over the length of that sum. W is the ridge regression
    of the directions of the users' vectors on their histories, so that h W is near to what training would have
    learned; that a ranking knows no length of a user's vector is why directions are enough. With W = 1 it would be one
    step of propagation from the items' final vectors.

    Args:
        users: [U, D] vectors of training.
        items: x [I, D].
        owners: [E] int64 the users of the training pairs.
        taken: [E] int64 their items.

    Returns:
        Histories [B] -> [B, D]; zero where a history is empty.

    Users who follow their items' direction, turned by a quarter, give back that turn, less the ridge:

    >>> items = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> users = torch.tensor([[0.0, 3.0], [-1.0, 0.0]])
    >>> fold = users_from_items(users, items, torch.tensor([0, 1]), torch.tensor([0, 1]))
    >>> fold(OrderedHistories.from_lists([[0], [1], []], 2)).round(decimals=3)
    tensor([[ 0.0000,  0.9090],
            [-0.9090,  0.0000],
            [ 0.0000,  0.0000]])
    """
    pairs = Csr.from_pairs(
        owners, taken, torch.ones_like(owners, dtype=items.dtype), (len(users), len(items))
    )
    own = normalize(torch.mm(pairs.tensor(), items), dim=1)
    gram = own.T @ own
    ridge = RIDGE * gram.diagonal().mean().clamp(min=torch.finfo(gram.dtype).tiny)
    gram.diagonal().add_(ridge)
    weights = torch.linalg.solve(gram, own.T @ normalize(users, dim=1))

    def fold(histories: OrderedHistories) -> Tensor:
        sums = torch.mm(history_matrix(histories, len(items)).tensor().to(items.dtype), items)
        vectors: Tensor = normalize(sums, dim=1) @ weights
        return vectors

    return fold
