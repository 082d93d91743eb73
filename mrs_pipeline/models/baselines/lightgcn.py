"""LightGCN. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network", SIGIR 2020.

https://arxiv.org/abs/2002.02126

Equation: E^(l+1) = D^-1/2 A D^-1/2 E^(l) on the user-item graph; e = mean of E^(0)..E^(L); y_ui = <e_u, e_i>;
loss = BPR + reg_weight * embedding norm of the batch's layer-0 rows.

Deviations: the regulariser is the un-squared norm of the MMRec family; degrees carry an epsilon of 1e-7.
Complexity: O(E L D) a step, forward and backward, plus Adam's O((U + I) D).
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.lightgcn import LightGcnBackboneConfig, LightGcnRecommender
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class LightGcnConfig(LightGcnBackboneConfig):
    """Settings of LightGCN."""

    search_space: ClassVar[SearchSpace] = {
        "n_layers": (1, 2, 3, 4),
        "reg_weight": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        "learning_rate": (1e-3, 2e-3, 5e-3),
    }

    reg_weight: float = Field(default=1e-4, ge=0)
    """Weight of the embedding norm."""


class LightGcn(LightGcnRecommender[LightGcnConfig]):
    """Linear propagation on the user-item graph; see the module."""

    spec = ModelSpec(
        name="lightgcn",
        title="LightGCN",
        paper="He et al., SIGIR 2020",
        url="https://arxiv.org/abs/2002.02126",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E L D)",
    )
    Config = LightGcnConfig

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR on propagated vectors, the norm on layer 0."""
        layer_0 = pair_rows(self.user_embedding, self.item_embedding, batch)
        return {
            "bpr": bpr_inner(*pair_rows(*self.representations(), batch)),
            "reg": self.config.reg_weight * embedding_norm(*layer_0),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Mean over layers, users [U, D] and items [I, D]."""
        return self.propagated()
