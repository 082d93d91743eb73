"""Models of cold items that start from finished vectors of users and items, which are held."""

from typing import Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs


class HeldFactorsConfig(GradientConfig):
    """Settings of models over held vectors."""

    warm: Literal["content", "factors"] = Field(default="content")
    """What warm items are ranked by: `content`, as cold ones are, or the first step's `factors`. With `factors` the
    scores of warm items are those of the first step: unless validation rows are of cold items, they then say nothing of
    what is learned here, and the best epoch is chosen blindly."""


HeldT_co = TypeVar("HeldT_co", bound=HeldFactorsConfig, covariant=True)


class HeldFactorsRecommender(Recommender[HeldT_co, PairBatch]):
    """Holds the first step's vectors, `<pretraining>/users` [U, D] and `<pretraining>/items` [I, D], which stay.

    Attributes:
        user_factors: [U, D].
        item_factors: [I, D], zero for cold items.
        warm: [w] int64 items with a training row.
        made: [n] int64 items whose vectors are made of content: all, or the cold ones.
    """

    def __init__(self, config: HeldT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        seen = inputs.items_seen()
        self.user_factors = inputs.pretrained[f"{self.spec.pretraining}/users"]
        vectors = inputs.pretrained[f"{self.spec.pretraining}/items"]
        # whatever the first step says of items without a training row has no part in what is learned
        self.item_factors = torch.where(seen.unsqueeze(1), vectors, 0.0)
        self._described = torch.stack(list(inputs.present.values())).any(0)
        self.warm = torch.nonzero(seen).flatten()
        everything = torch.ones_like(seen) if config.warm == "content" else ~seen
        self.made = torch.nonzero(everything).flatten()

    @property
    def rankable(self) -> Tensor:
        """[I] bool: warm items, and cold ones with content of their own; the first step's are no content."""
        return self._seen | self._described
