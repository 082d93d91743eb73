"""VBPR. He & McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016.

https://arxiv.org/abs/1510.01784

Equation: y_ui = <g_u, [q_i ; sum_m W_m x_i^m + b]> with user vectors of width 2D: the first half meets the
item's identifier, the second its content; loss = BPR + reg_weight * embedding norm of the batch's rows.

Deviations from the paper, as in the MMRec family whose tables this variant reproduces: no bias terms of
items, one norm for all vectors, and any number of modalities (the projection of their concatenation).
Deviations from both: an item without a modality gets a learned vector in place of W_m x (never zeros), and
identifiers of items never seen in training are zero, so that cold items are ranked by content alone.

Complexity: O(B F D) a step, plus Adam's O((2U + I) D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.layers.parts import IDENTIFIER
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class VbprConfig(GradientConfig):
    """Settings of VBPR."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)}

    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the embedding norm."""


class Vbpr(Recommender[VbprConfig, PairBatch]):
    """Matrix factorisation with projected content beside the identifier; see the module."""

    spec = ModelSpec(
        name="vbpr",
        title="VBPR",
        paper="He & McAuley, AAAI 2016",
        url="https://arxiv.org/abs/1510.01784",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(B F D)",
        features=FeatureUse.REQUIRED,
    )
    Config = VbprConfig

    def __init__(self, config: VbprConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), 2 * size, generator)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.projection = ModalityProjection(inputs, size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        users = take_rows(self.user_embedding, batch.users)
        # popular items occur many times in a batch: each is projected once
        items, place = distinct(torch.cat([batch.positives, batch.negatives]))
        positives, negatives = take_rows(self._items(items), place).chunk(2)
        return {
            "bpr": bpr_inner(users, positives, negatives),
            "reg": self.config.reg_weight * embedding_norm(users, positives, negatives),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """User vectors [U, 2D] and item vectors [I, 2D]."""
        return self.user_embedding, self._items()

    def item_paths(self) -> dict[str, Tensor]:
        """The identifier, and each modality's projection."""
        nothing = torch.zeros_like(self.item_embedding)
        content = {name: torch.cat([nothing, rows], dim=1) for name, rows in self.projection().items()}
        return {IDENTIFIER: torch.cat([self.item_embedding, nothing], dim=1), **content}

    def _items(self, items: Tensor | None = None) -> Tensor:
        identifiers = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        return torch.cat([identifiers, self.projection.summed(items)], dim=1)
