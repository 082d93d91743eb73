"""What DualGNN and DRAGON share: a propagation a modality, weights of modalities a user learns, a graph of users.

Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", TMM 2021. How the modalities become
one vector is said by the models.
"""

import math
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.graphs import nearest
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr_inner, mean_square
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import NeighbourSetting
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, mean_of_layers, user_item_operator
from mrs_pipeline.models.layers.parameters import embedding, linear, xavier
from mrs_pipeline.models.layers.projection import ModalityProjection


class DyadicConfig(LightGcnBackboneConfig):
    """Settings of models with a graph of users."""

    hidden_size: int = Field(default=256, ge=1, le=4096)
    """Width between the two layers that content goes through."""
    user_k: int = Field(default=40, ge=1, le=1000)
    """Users that a user listens to, at most; the dataset's `user_graph_k` must be at least as large."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the mean squares."""

    @property
    def user_neighbours(self) -> NeighbourSetting:
        """`user_k`."""
        return NeighbourSetting("user_k", self.user_k)


DyadicT_co = TypeVar("DyadicT_co", bound=DyadicConfig, covariant=True)


class DyadicRecommender(Recommender[DyadicT_co, PairBatch]):
    """Learns users' preferences P^m and their weights of modalities; `_neighbours` [U, U] is the graph of users."""

    def __init__(self, config: DyadicT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        users, size = inputs.users_seen(), config.embedding_size
        self._adjacency = user_item_operator(inputs)
        self._neighbours = neighbour_operator(inputs, config.user_k, self.spec.name)
        self.hidden = ModalityProjection(inputs, config.hidden_size, generator)
        self.content = nn.ModuleDict(
            {name: linear(config.hidden_size, size, generator) for name in inputs.features}
        )
        self.preferences = nn.ParameterDict(
            {name: embedding(users, size, generator) for name in inputs.features}
        )
        start = xavier((inputs.n_users, len(inputs.features)), generator)
        self.modality_weights = nn.Parameter(start.softmax(1))

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR in bits, mean squares of what is learned a user."""
        preferences = [take_rows(table, batch.users) for table in self.preferences.values()]
        return {
            "bpr": bpr_inner(*pair_rows(*self.representations(), batch)) / math.log(2),
            "reg": self.config.reg_weight * mean_square(*preferences, self.modality_weights),
        }

    def views(self) -> tuple[list[Tensor], list[Tensor]]:
        """Users' views of the modalities [U, D], weighed, and the items' [I, D]: sums of the layers."""
        user_views, item_views, n_layers = [], [], self.config.n_layers
        weights = self.modality_weights.unbind(1)
        for (modality, hidden), weight in zip(self.hidden().items(), weights, strict=True):
            content = self.content[modality](leaky_relu(hidden))
            users, items = mean_of_layers(
                self._adjacency, unit_rows(self.preferences[modality]), unit_rows(content), n_layers
            )
            user_views.append((n_layers + 1) * users * weight.unsqueeze(1))
            item_views.append((n_layers + 1) * items)
        return user_views, item_views


def neighbour_operator(inputs: ModelInputs, k: int, model: str) -> SparseOperator:
    """Each user's k strongest neighbours, weighed by the softmax of how many items they share."""
    if inputs.user_graph is None:
        raise InputError(
            f"model '{model}' needs the graph of users who share items and it was not built; "
            "materialise graphs/users first"
        )
    graph = nearest(inputs.user_graph, k)
    shares = edge_softmax(graph.weights, graph.row_numbers(), graph.shape[0])
    return SparseOperator.from_csr(graph.with_weights(shares))
