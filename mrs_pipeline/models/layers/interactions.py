"""The training interactions as a matrix, and scores of models that are linear in a user's row of it."""

import torch
from torch import Tensor

from mrs_pipeline.functional.folding import history_matrix
from mrs_pipeline.functional.graphs import bipartite_graph
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Scorer
from mrs_pipeline.models.inputs import ModelInputs


def interaction_matrix(inputs: ModelInputs) -> Csr:
    """The training interactions as a matrix of ones [U, I]."""
    ones = torch.ones(len(inputs.users), device=inputs.device)
    return Csr.from_pairs(inputs.users, inputs.items, ones, (inputs.n_users, inputs.n_items))


def propagation_graph(inputs: ModelInputs, kept: Tensor | None = None) -> Csr:
    """The user-item graph [N, N] of the training pairs, or of those `kept` [n], and of what is `virtual` in the inputs.

    Training pairs have weight one, virtual ones theirs.
    """
    users, items = (inputs.users, inputs.items) if kept is None else (inputs.users[kept], inputs.items[kept])
    if inputs.virtual is None or not len(inputs.virtual.weights):
        return bipartite_graph(users, items, inputs.n_users, inputs.n_items)
    more = inputs.virtual
    users = torch.cat([users, more.row_numbers()])
    items = torch.cat([items, more.indices.long()]) + inputs.n_users
    weights = torch.cat([more.weights.new_ones(len(users) - len(more.weights)), more.weights])
    nodes = inputs.n_users + inputs.n_items
    return Csr.from_pairs(
        torch.cat([users, items]), torch.cat([items, users]), weights.repeat(2), (nodes, nodes)
    )


def popularity(inputs: ModelInputs) -> Tensor:
    """[I] share of the training interactions that each item has."""
    counts = torch.bincount(inputs.items, minlength=inputs.n_items).float()
    return counts / counts.sum().clamp(min=1)


def linear_scorer(rows: Csr, item_weights: Tensor) -> Scorer:
    """Scores of a linear item-item model: a row of `rows` [U, I] times `item_weights` [I, I], any layout."""
    return lambda users: _dense_product(rows.take(users), item_weights)


def linear_history_scorer(item_weights: Tensor) -> HistoryScorer:
    """The same for histories of anybody."""
    return lambda histories: _dense_product(history_matrix(histories, len(item_weights)), item_weights)


def _dense_product(rows: Csr, item_weights: Tensor) -> Tensor:
    product = torch.mm(rows.tensor(), item_weights)
    return product if product.layout is torch.strided else product.to_dense()
