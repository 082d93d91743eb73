"""Models of cold items that start from finished vectors of users and items, and rank what is warm by these."""

from typing import TypeVar

import torch
from torch import Tensor

from mrs_pipeline.models.base import PairBatch, Recommender
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs

HeldT_co = TypeVar("HeldT_co", bound=GradientConfig, covariant=True)


class HeldFactorsRecommender(Recommender[HeldT_co, PairBatch]):
    """Holds the first step's vectors, `<pretraining>/users` [U, D] and `<pretraining>/items` [I, D], which stay.

    Attributes:
        user_factors: [U, D].
        item_factors: [I, D], zero for cold items.
        warm: [w] int64 items with a training row.
        cold: [c] int64 the others.
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
        self.cold = torch.nonzero(~seen).flatten()

    @property
    def rankable(self) -> Tensor:
        """[I] bool: warm items, and cold ones with content of their own; the first step's are no content."""
        return self._seen | self._described
