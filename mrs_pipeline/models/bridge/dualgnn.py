"""DualGNN. Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation".

IEEE Transactions on Multimedia 2021, https://doi.org/10.1109/TMM.2021.3138298

Equation: for each modality m x = unit([P^m; f^m]) with users' preferences P^m and f^m = W_2 LeakyReLU(W_1 x^m + b_1)
+ b_2, and rep^m = x + A x + ... + A^L x on the normalised user-item graph; e_i = sum_m rep_i^m; z_u = sum_m w_um
rep_u^m with weights w_u that each user learns; e_u = z_u + sum_v s_uv z_v over the `user_k` users who share most
items with u, s the softmax of how many; y_ui = <e_u, e_i>; loss = -mean log2 sigmoid(y_ui - y_uj) + reg_weight *
(mean squares of the batch's users' rows of every P^m, mean square of w).

Deviations: a user with fewer neighbours has the softmax over those there are (published: neighbours drawn again at
random until there are enough, again in each epoch). Each modality's user view is its own: the published code adds the
second modality to the first in place before it weighs the two. Edges without some items' modality and weights of
items, which it prepares and never uses, are left out. An item that lacks a modality has a learned vector in place of
W_1 x + b_1. The graph of users is built from the training interactions, sparse and in blocks (published: a file that
must be made beforehand from a dense [U, U]). The paper's learning rate is not known; here 1e-3.

Complexity: O(M (E L D + I (F + D) H) + k U D) a step with H the hidden width, k = `user_k`; memory O(M N D + k U).
"""

import math
from typing import ClassVar

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
from mrs_pipeline.models.config import NeighbourSetting, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, mean_of_layers, user_item_operator
from mrs_pipeline.models.layers.parameters import embedding, linear, xavier
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class DualGnnConfig(LightGcnBackboneConfig):
    """Settings of DualGNN."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-2, 1e-3, 1e-4),
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
    }

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


class DualGnn(Recommender[DualGnnConfig, PairBatch]):
    """Propagation a modality, then among users who share items; see the module."""

    spec = ModelSpec(
        name="dualgnn",
        title="DualGNN",
        paper="Wang et al., TMM 2021",
        url="https://doi.org/10.1109/TMM.2021.3138298",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="O(M (E L D + I (F + D) H) + k U D)",
        features=FeatureUse.REQUIRED,
        user_graph=True,
    )
    Config = DualGnnConfig

    def __init__(self, config: DualGnnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        users, size = inputs.users_seen(), config.embedding_size
        self._adjacency = user_item_operator(inputs)
        self._neighbours = _neighbour_operator(inputs, config.user_k)
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

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users and what their neighbours add, items summed over modalities."""
        user_views, item_views, n_layers = [], [], self.config.n_layers
        for modality, hidden in self.hidden().items():
            content = self.content[modality](leaky_relu(hidden))
            users, items = mean_of_layers(
                self._adjacency, unit_rows(self.preferences[modality]), unit_rows(content), n_layers
            )
            user_views.append((n_layers + 1) * users)  # the sum of the layers
            item_views.append((n_layers + 1) * items)
        weighed = [
            view * weight.unsqueeze(1)
            for view, weight in zip(user_views, self.modality_weights.unbind(1), strict=True)
        ]
        users = torch.stack(weighed).sum(0)
        return users + self._neighbours @ users, torch.stack(item_views).sum(0)


def _neighbour_operator(inputs: ModelInputs, k: int) -> SparseOperator:
    """Each user's k strongest neighbours, weighed by the softmax of how many items they share."""
    if inputs.user_graph is None:
        raise InputError(
            "model 'dualgnn' needs the graph of users who share items and it was not built; "
            "materialise graphs/users first"
        )
    graph = nearest(inputs.user_graph, k)
    shares = edge_softmax(graph.weights, graph.row_numbers(), graph.shape[0])
    return SparseOperator.from_csr(graph.with_weights(shares))
