"""PMGT, second step. Liu et al., "Pre-training Graph Transformer with Multimodal Side Information", MM 2021.

In full: "Pre-training Graph Transformer with Multimodal Side Information for Recommendation".
https://arxiv.org/abs/2010.12284

Equation: y_ui = <p_u, W q_i>, q_i [D'] the item vector, which starts as the pretrained one (`pretraining.pmgt`) and
is trained on; loss = BPR + reg_weight * embedding norm of the rows used.

Deviations: factorised scores in place of the paper's NCF and DCN heads, so that the lists of all users come from one
product; W, shared by all items, takes the part of the heads' first layer, lets the user vectors have a width of their
own, and carries what was learnt on warm items over to cold ones, whose q_i stays as pretrained. Pretrained rows are
scaled to length one, so that they start in the range of ordinary embeddings. An item that the pretraining knows
nothing of (no modality, no neighbour) starts at zero.

Complexity: O(B D D') a step, plus Adam's O(U D + I D').
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, embedding_norm
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class PmgtConfig(GradientConfig):
    """Settings of PMGT's fine-tuning."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (1.0, 1e-1, 1e-2, 1e-3)}

    reg_weight: float = Field(default=1.0, ge=0)
    """Weight of the embedding norm. Content makes training pairs easy to fit, so it has to be strong."""


class Pmgt(Recommender[PmgtConfig, PairBatch]):
    """Matrix factorisation that starts from pretrained item vectors; see the module."""

    spec = ModelSpec(
        name="pmgt",
        title="PMGT",
        paper="Liu et al., MM 2021",
        url="https://arxiv.org/abs/2010.12284",
        cells=frozenset({Cell.TWO_STEP, Cell.FINE_ATTENTION, Cell.ITEM_ITEM_GRAPH}),
        complexity="O(B D D')",
        features=FeatureUse.REQUIRED,
        pretraining="pmgt",
    )
    Config = PmgtConfig

    def __init__(self, config: PmgtConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        start = inputs.pretrained["pmgt"]
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), config.embedding_size, generator)
        self.item_vectors: nn.Parameter = nn.Parameter(normalize(start, dim=1))
        self.adapter = linear(start.shape[1], config.embedding_size, generator, bias=False)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        users = take_rows(self.user_embedding, batch.users)
        both = take_rows(self.item_vectors, torch.cat([batch.positives, batch.negatives]))
        positives, negatives = self.adapter(both).chunk(2)
        return {
            "bpr": bpr_inner(users, positives, negatives),
            "reg": self.config.reg_weight * embedding_norm(users, positives, negatives),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """User vectors [U, D] and adapted item vectors [I, D]."""
        return self.user_embedding, self.adapter(self.item_vectors)
