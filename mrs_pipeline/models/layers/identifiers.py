"""Models with a learned vector for each user and each item, trained on pairs."""

from typing import TypeVar

import torch
from torch import nn

from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import embedding

GradientT_co = TypeVar("GradientT_co", bound=GradientConfig, covariant=True)


class IdentifierRecommender(Recommender[GradientT_co, PairBatch]):
    """Learns E_user [U, D] and E_item [I, D], which are drawn before all other parameters."""

    def __init__(self, config: GradientT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), size, generator)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
