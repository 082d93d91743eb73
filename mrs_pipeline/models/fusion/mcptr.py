"""MCPTR-style, second step. After Liu et al., "Multi-modal Contrastive Pre-training for ...", ICMR 2022.

In full: "Multi-modal Contrastive Pre-training for Recommendation". https://doi.org/10.1145/3512527.3531378

Equation: y_ui = <p_u, q_i>, both at first the pretrained vectors (`pretraining.mcptr`) and trained on; loss = BPR +
reg_weight * half the squared norm of the rows used.

Deviations: a guess, see the first step. The paper starts several known recommenders from its vectors; here it is
matrix factorisation. A cold item keeps the pretrained vector, which is its content's.

Complexity: O(B D) a step, plus Adam's O((U + I) D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class McptrConfig(GradientConfig):
    """Settings of MCPTR's fine-tuning."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (1e-4, 1e-3, 1e-2, 1e-1)}

    reg_weight: float = Field(default=1e-2, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Mcptr(Recommender[McptrConfig, PairBatch]):
    """Matrix factorisation that starts from vectors of graphs and content; see the module."""

    spec = ModelSpec(
        name="mcptr",
        title="MCPTR-style",
        paper="after Liu et al., ICMR 2022",
        url="https://doi.org/10.1145/3512527.3531378",
        cells=frozenset({Cell.COARSE_ATTENTION, Cell.CONTRASTIVE}),
        complexity="O(B D)",
        features=FeatureUse.REQUIRED,
        pretraining="mcptr",
    )
    Config = McptrConfig

    def __init__(self, config: McptrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        users, items = inputs.pretrained["mcptr/users"], inputs.pretrained["mcptr/items"]
        if users.shape[1] != config.embedding_size:
            raise InputError(
                f"model 'mcptr' has embedding_size {config.embedding_size} and its pretraining made vectors of width "
                f"{users.shape[1]}, from which it starts; set both alike"
            )
        self.user_embedding = nn.Parameter(users.clone())
        self.item_embedding = nn.Parameter(items.clone())

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and the norm of the rows used."""
        rows = pair_rows(self.user_embedding, self.item_embedding, batch)
        return {"bpr": bpr_inner(*rows), "reg": self.config.reg_weight * squared_norm(*rows)}

    def representations(self) -> tuple[Tensor, Tensor]:
        """The two tables [U, D] and [I, D]."""
        return self.user_embedding, self.item_embedding
