"""COHESION. Xu et al., SIGIR 2025.

"COHESION: Composite Graph Convolutional Network with Dual-Stage Fusion for Multimodal Recommendation",
https://arxiv.org/abs/2504.04452

Equation: channels c are the identifiers E and the modalities, f^c = W_2^c LeakyReLU(W_1^c x^c + b_1) + b_2 with x^id
= E. Early fusion: f~^c = sqrt((E^2 + (f^c)^2) / 2 + 1e-8), entry by entry. From x_0 = unit([P^c; f~^c]), P^c users'
own, goes x_l = cos(A x_{l-1}, x_0) A x_{l-1}, row by row, and z^c = sum_l x_l. Channels stand side by side; e_u = z_u
+ sum_v s_uv z_v over the `user_k` users who share most items with u, s the softmax of how many; e_i = z_i + (S^n
z)_i, S the frozen kNN graph of the features. y_ui = <e_u, e_i>. Late fusion in training: with a triple's gap in a
channel, d_c = <e_u^c, e_i^c - e_j^c>, weights w = 1 - softmax(d) without gradient; loss = -mean log2 sigmoid(sum_c
w_c d_c) + reg_weight * sum over modalities of the mean square of the batch's rows of P^m.

Deviations: the published code takes the identifiers' channel without gradient, so that its layers are never trained,
penalises a table that nothing else reads, and scores with the vectors of the last batch; here all that scores is
trained, and vectors are computed again. Neighbours of users as in DualGNN; S for any number of modalities and missing
rows as in FREEDOM; an item that lacks a modality has a learned vector there.

Complexity: O(C (E L D + I (F + D) H + (k_u U + k I) D)) a step for C channels, H the hidden width; memory O(C N D +
k_u U + k I).
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.losses import bpr, mean_square
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.dyadic import DyadicConfig, neighbour_operator
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, mixed_item_graph
from mrs_pipeline.models.layers.lightgcn import user_item_operator
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.parts import IDENTIFIER
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_LEAST_SQUARE = 1e-8


class CohesionConfig(DyadicConfig, ItemGraphConfig):
    """Settings of COHESION."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2, 3, 4),
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4),
    }


class Cohesion(IdentifierRecommender[CohesionConfig]):
    """Channels fused before and after propagation; see the module. `user_embedding` is the identifiers' P."""

    spec = ModelSpec(
        name="cohesion",
        title="COHESION",
        paper="Xu et al., SIGIR 2025",
        url="https://arxiv.org/abs/2504.04452",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH, Cell.OTHER_FUSION}),
        complexity="O(C (E L D + I (F + D) H + (k_u U + k I) D))",
        features=FeatureUse.REQUIRED,
        item_graph=True,
        user_graph=True,
    )
    Config = CohesionConfig

    def __init__(self, config: CohesionConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, users = config.embedding_size, inputs.users_seen()
        self._adjacency = user_item_operator(inputs)
        self._neighbours = neighbour_operator(inputs, config.user_k, self.spec.name)
        self._item_graph = mixed_item_graph(inputs, config.knn_k, self.spec.name)
        self.hidden = ModalityProjection(inputs, config.hidden_size, generator)
        self.identifier_hidden = linear(size, config.hidden_size, generator)
        channels = [IDENTIFIER, *inputs.features]
        self.content = nn.ModuleDict({name: linear(config.hidden_size, size, generator) for name in channels})
        self.preferences = nn.ParameterDict(
            {name: embedding(users, size, generator) for name in inputs.features}
        )

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR in bits of channels that weigh more the less they tell yet, mean squares of what is learned a user."""
        users, positives, negatives = pair_rows(*self.representations(), batch)
        gaps = (users * (positives - negatives)).view(len(users), len(self.content), -1).sum(2)
        weights = 1 - gaps.detach().softmax(1)
        preferences = [take_rows(table, batch.users) for table in self.preferences.values()]
        return {
            "bpr": bpr((weights * gaps).sum(1)) / math.log(2),
            "reg": self.config.reg_weight * mean_square(*preferences),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, C D] with their neighbours, items [I, C D] with theirs, channels side by side."""
        hidden = {IDENTIFIER: self.identifier_hidden(self.item_embedding), **self.hidden()}
        found = [
            self._propagated(name, self.content[name](leaky_relu(rows))) for name, rows in hidden.items()
        ]
        nodes = torch.cat(found, dim=1)
        users, items = nodes[: self.n_users], nodes[self.n_users :]
        around = items
        for _ in range(self.config.n_item_layers):
            around = self._item_graph @ around
        return users + self._neighbours @ users, items + around

    def _propagated(self, channel: str, content: Tensor) -> Tensor:
        """[N, D] the sum of a channel's layers, from content [I, D]."""
        fused = ((self.item_embedding.square() + content.square()) / 2 + _LEAST_SQUARE).sqrt()
        own = self.user_embedding if channel == IDENTIFIER else self.preferences[channel]
        start = unit_rows(torch.cat([own, fused]))
        total = layer = start
        for _ in range(self.config.n_layers):
            around = self._adjacency @ layer
            layer = (unit_rows(around) * start).sum(1, keepdim=True) * around
            total = total + layer
        return total
