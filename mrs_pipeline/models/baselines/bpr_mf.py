"""BPR-MF. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.

https://arxiv.org/abs/1205.2618

Equation: y_ui = <p_u, q_i> + b_i; loss = -mean log sigmoid(y_ui - y_uj) + reg_weight * embedding norm of the batch.

Deviations: Adam and the un-squared norm of the MMRec family in place of SGD and L2; the bias b_i, which that family
leaves out, is an option, and no norm is taken of it.
Complexity: O(B D) a step, plus Adam's O((U + I) D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class BprMfConfig(GradientConfig):
    """Settings of BPR-MF."""

    search_space: ClassVar[SearchSpace] = {
        "reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5),
        "item_bias": (False, True),
    }

    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the embedding norm."""
    item_bias: bool = False
    """Whether each item has a bias: what of its popularity is no matter of taste."""


class BprMf(IdentifierRecommender[BprMfConfig]):
    """Matrix factorisation for ranking; see the module."""

    spec = ModelSpec(
        name="bpr_mf",
        title="BPR-MF",
        paper="Rendle et al., UAI 2009",
        url="https://arxiv.org/abs/1205.2618",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(B D)",
    )
    Config = BprMfConfig

    def __init__(self, config: BprMfConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        if config.item_bias:
            self.item_bias = nn.Parameter(torch.zeros(inputs.n_items, 1, device=inputs.device))

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        rows = pair_rows(self.user_embedding, self.item_embedding, batch)
        norm = {"reg": self.config.reg_weight * embedding_norm(*rows)}
        if not self.config.item_bias:
            return {"bpr": bpr_inner(*rows), **norm}
        return {"bpr": bpr_inner(*pair_rows(*self.representations(), batch)), **norm}

    def representations(self) -> tuple[Tensor, Tensor]:
        """The two tables; with a bias, a column of ones and the column of biases beside them."""
        users, items = self.user_embedding, self.item_embedding
        if not self.config.item_bias:
            return users, items
        return torch.cat([users, users.new_ones(len(users), 1)], 1), torch.cat([items, self.item_bias], 1)
