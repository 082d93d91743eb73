"""Shared by models whose items have a graph for each modality: the graphs, views through them, their fusion."""

import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.graphs import DEGREE_EPSILON, nearest
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import ModelInputs
from mrs_pipeline.models.blocks import linear


def item_graphs(inputs: ModelInputs, k: int, model: str) -> dict[str, Csr]:
    """Modality -> kNN graph [I, I] of raw features, k neighbours a row, cosine weights, none below zero.

    Raises:
        InputError: a modality's graph was not built, or with fewer than `k` neighbours.
    """
    graphs = {}
    for modality in inputs.features:
        if modality not in inputs.item_graphs:
            raise InputError(
                f"model '{model}' needs the item graph of modality '{modality}' and it was not built; "
                "materialise the graph of that feature set first"
            )
        graph = inputs.item_graphs[modality]
        neighbours = graph.indptr.diff()
        width, items = int(neighbours.max()), int((neighbours > 0).sum())
        if width < min(k, items):
            raise InputError(
                f"model '{model}' has knn_k {k} but the item graph of modality '{modality}' holds {width} "
                "neighbours an item; build the graph with more, or lower the model's knn_k"
            )
        kept = nearest(graph, k)
        # with few items opposites become neighbours, and a degree could come out at zero
        graphs[modality] = kept.with_weights(kept.weights.clamp(min=0))
    return graphs


def linked(graphs: dict[str, Csr]) -> Tensor:
    """[I, M] bool: whether an item has a row in each modality's graph, that is, features with a direction."""
    return torch.stack([graph.indptr.diff() > 0 for graph in graphs.values()], dim=1)


def items_to_users(inputs: ModelInputs) -> SparseOperator:
    """[U, I]: the block of the normalised user-item adjacency that turns item vectors into user vectors."""
    return SparseOperator.from_csr(_rating_block(inputs))


def users_with(inputs: ModelInputs, items: Tensor) -> Tensor:
    """[U, M] bool: whether a user has taken any of the `items` [I, M] that are marked."""
    counts = torch.zeros(inputs.n_users, items.shape[1], device=inputs.device)
    return counts.index_add_(0, inputs.users, items[inputs.items].float()) > 0


def _rating_block(inputs: ModelInputs) -> Csr:
    user_degrees = torch.bincount(inputs.users, minlength=inputs.n_users).float() + DEGREE_EPSILON
    item_degrees = torch.bincount(inputs.items, minlength=inputs.n_items).float() + DEGREE_EPSILON
    weights = (user_degrees[inputs.users] * item_degrees[inputs.items]).rsqrt()
    return Csr.from_pairs(inputs.users, inputs.items, weights, (inputs.n_users, inputs.n_items))


class ModalityAttention(nn.Module):
    """Shares of modalities: softmax over m of q' tanh(W h_m + b), among the modalities that a node has."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = linear(size, size, generator)
        self.query = linear(size, 1, generator, bias=False)

    def forward(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, M] shares for views [n, M, D]; rows of zeros where nothing is `present` [n, M]."""
        scores: Tensor = self.query(torch.tanh(self.hidden(views))).squeeze(-1)
        return masked_softmax(scores, present)
