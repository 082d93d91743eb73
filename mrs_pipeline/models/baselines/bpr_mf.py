"""BPR-MF. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.

https://arxiv.org/abs/1205.2618

Equation: y_ui = <p_u, q_i>; loss = -mean log sigmoid(y_ui - y_uj) + reg_weight * embedding norm of the batch.

Deviations: Adam and the un-squared norm of the MMRec family in place of SGD and L2; no item bias.
Complexity: O(B D) a step, plus Adam's O((U + I) D).
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.spec import ModelSpec
from mrs_pipeline.taxonomy import Cell


class BprMfConfig(GradientConfig):
    """Settings of BPR-MF."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)}

    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the embedding norm."""


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

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        rows = pair_rows(self.user_embedding, self.item_embedding, batch)
        return {"bpr": bpr_inner(*rows), "reg": self.config.reg_weight * embedding_norm(*rows)}

    def representations(self) -> tuple[Tensor, Tensor]:
        """The two tables."""
        return self.user_embedding, self.item_embedding
