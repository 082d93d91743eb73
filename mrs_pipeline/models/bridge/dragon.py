"""DRAGON. Zhou et al., "Enhancing Dyadic Relations with Homogeneous Graphs for Multimodal Recommendation", ECAI 2023.

https://arxiv.org/abs/2301.12097

Equation: DualGNN's view of each modality, rep^m = x + A x + ... + A^L x from x = unit([P^m; f^m]), f^m = W_2
LeakyReLU(W_1 x^m + b_1) + b_2. Attentive concatenation: z_u = [w_u1 rep_u^1; ..; w_uM rep_u^M] with weights that each
user learns, z_i = [rep_i^1; ..; rep_i^M]. Homogeneous graphs: e_u = z_u + sum_v s_uv z_v over the `user_k` users who
share most items with u, s the softmax of how many; e_i = z_i + (S^n z)_i, S the frozen kNN graph of the features.
y_ui = <e_u, e_i>; loss = -mean log2 sigmoid(y_ui - y_uj) + reg_weight * (mean squares of the batch's users' rows of
every P^m, mean square of w).

Deviations: as in DualGNN for users with fewer neighbours, the graph of users and items that lack a modality; S for
any number of modalities and missing rows as in FREEDOM. The published learning rate is 1e-4, here 1e-3.

Complexity: O(M (E L D + I (F + D) H + (k_u U + k I) D)) a step with H the hidden width; memory O(M N D + k_u U + k I).
"""

from typing import ClassVar

import torch
from torch import Tensor

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.dyadic import DyadicConfig, DyadicRecommender
from mrs_pipeline.models.layers.item_graphs import ItemGraphConfig, mixed_item_graph
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class DragonConfig(DyadicConfig, ItemGraphConfig):
    """Settings of DRAGON."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-3, 5e-4, 1e-4),
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4),
    }


class Dragon(DyadicRecommender[DragonConfig]):
    """DualGNN with modalities side by side and a graph of items; see the module."""

    spec = ModelSpec(
        name="dragon",
        title="DRAGON",
        paper="Zhou et al., ECAI 2023",
        url="https://arxiv.org/abs/2301.12097",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.ITEM_ITEM_GRAPH}),
        complexity="O(M (E L D + I (F + D) H + (k_u U + k I) D))",
        features=FeatureUse.REQUIRED,
        item_graph=True,
        user_graph=True,
    )
    Config = DragonConfig

    def __init__(self, config: DragonConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._item_graph = mixed_item_graph(inputs, config.knn_k, self.spec.name)

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users with their neighbours, items with theirs, modalities side by side."""
        user_views, item_views = self.views()
        users, items = torch.cat(user_views, dim=1), torch.cat(item_views, dim=1)
        around = items
        for _ in range(self.config.n_item_layers):
            around = self._item_graph @ around
        return users + self._neighbours @ users, items + around
