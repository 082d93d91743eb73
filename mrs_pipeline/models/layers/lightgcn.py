"""LightGCN, the backbone of many models: identifiers propagated over the user-item graph, the mean over the layers.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020.
"""

from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.graphs import (
    DEGREE_EPSILON,
    normalise_rows,
    normalise_symmetric,
    with_self_loops,
)
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator, mean_propagation
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.interactions import propagation_graph


class LightGcnBackboneConfig(GradientConfig):
    """Settings of models on LightGCN."""

    n_layers: int = Field(default=2, ge=1, le=8)
    """Propagation steps L on the user-item graph."""


BackboneT_co = TypeVar("BackboneT_co", bound=LightGcnBackboneConfig, covariant=True)


class LightGcnRecommender(IdentifierRecommender[BackboneT_co]):
    """A model that starts from LightGCN(E)."""

    def __init__(
        self,
        config: BackboneT_co,
        inputs: ModelInputs,
        generator: torch.Generator,
        adjacency: SparseOperator | None = None,
    ) -> None:
        """Propagates over `adjacency` [N, N], if given, in place of D^-1/2 A D^-1/2."""
        super().__init__(config, inputs, generator)
        self._adjacency = user_item_operator(inputs) if adjacency is None else adjacency

    def propagated(self, adjacency: SparseOperator | None = None) -> tuple[Tensor, Tensor]:
        """LightGCN(E): users [U, D] and items [I, D], over another `adjacency` [N, N] where one is given."""
        operator = self._adjacency if adjacency is None else adjacency
        return mean_of_layers(operator, self.user_embedding, self.item_embedding, self.config.n_layers)


def mean_of_layers(
    adjacency: SparseOperator, users: Tensor, items: Tensor, n_layers: int
) -> tuple[Tensor, Tensor]:
    """The mean of x, Sx, ..., S^L x with x = [users ; items], taken apart again: [U, D] and [I, D].

    One user and one item that are neighbours; layers are (1, 3), (3, 1), (1, 3):

    >>> swap = Csr.from_pairs(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.ones(2), (2, 2))
    >>> adjacency = SparseOperator.from_csr(swap, symmetric=True)
    >>> mean_of_layers(adjacency, torch.tensor([[1.0]]), torch.tensor([[3.0]]), n_layers=2)
    (tensor([[1.6667]]), tensor([[2.3333]]))
    """
    mean = mean_propagation(adjacency, torch.cat([users, items]), n_layers)
    users, items = mean.split_with_sizes([len(users), len(items)])
    return users, items


def user_item_operator(inputs: ModelInputs) -> SparseOperator:
    """D^-1/2 A D^-1/2 [N, N] of the training pairs."""
    graph = propagation_graph(inputs)
    return SparseOperator.from_csr(normalise_symmetric(graph), symmetric=True)


def random_walk_operator(inputs: ModelInputs) -> SparseOperator:
    """D^-1 (A + I) [N, N] of the training pairs."""
    graph = propagation_graph(inputs)
    return SparseOperator.from_csr(normalise_rows(with_self_loops(graph)))


def items_to_users(inputs: ModelInputs) -> SparseOperator:
    """[U, I]: the block of D^-1/2 A D^-1/2 that turns item vectors into user vectors."""
    user_degrees = torch.bincount(inputs.users, minlength=inputs.n_users).float() + DEGREE_EPSILON
    item_degrees = torch.bincount(inputs.items, minlength=inputs.n_items).float() + DEGREE_EPSILON
    weights = (user_degrees[inputs.users] * item_degrees[inputs.items]).rsqrt()
    block = Csr.from_pairs(inputs.users, inputs.items, weights, (inputs.n_users, inputs.n_items))
    return SparseOperator.from_csr(block)
