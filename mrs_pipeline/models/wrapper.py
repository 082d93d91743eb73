"""A model around a backbone that propagates vectors as LightGCN does; loss and vectors are the backbone's."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mrs_pipeline.models.base import BatchSettings, PairBatch, ParameterGroup, Recommender
from mrs_pipeline.models.config import GradientConfig, NeighbourSetting
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.wrapping import propagating_model, require_wrapped, wrapped_config


class WrapperConfig(GradientConfig):
    """Settings of a wrapper."""

    backbone: str = "lightgcn"
    """Name of the model that is wrapped: one on LightGCN's propagation."""
    settings: Mapping[str, object] = {}
    """Overrides of the backbone's own settings; embedding size and learning rate are the wrapper's."""
    knn_k: int = Field(default=10, ge=1, le=200)
    """Neighbours of an item, itself among them, in graphs of the wrapper and of the backbone; the dataset's
    `item_graph_k` must be at least as large."""

    def wrapped(self) -> tuple[str, ...]:
        """The backbone."""
        return (self.backbone,)

    def inner(self) -> GradientConfig:
        """The backbone's settings."""
        kind = propagating_model(self.backbone)
        shared = {"embedding_size": self.embedding_size, "learning_rate": self.learning_rate}
        if "knn_k" in kind.Config.model_fields:
            shared["knn_k"] = self.knn_k
        config = wrapped_config(kind, self.settings, shared)
        assert isinstance(config, GradientConfig), "what learns identifiers has a step size"
        return config

    @property
    def item_neighbours(self) -> NeighbourSetting | None:
        """`knn_k`."""
        return NeighbourSetting("knn_k", self.knn_k)

    _can_be_wrapped = model_validator(mode="after")(require_wrapped)


WrapperT_co = TypeVar("WrapperT_co", bound=WrapperConfig, covariant=True)


class WrappingRecommender(Recommender[WrapperT_co, PairBatch]):
    """Trains and ranks as its backbone does; a subclass changes what the backbone is built on, or its steps."""

    def __init__(self, config: WrapperT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.backbone: Recommender[GradientConfig, PairBatch] = propagating_model(config.backbone)(
            config.inner(), self.as_wrapped(inputs), generator
        )

    def as_wrapped(self, inputs: ModelInputs) -> ModelInputs:
        """What the backbone is built on; the inputs as they are if not overridden."""
        return inputs

    def batch_settings(self) -> BatchSettings:
        """The backbone's."""
        return self.backbone.batch_settings()

    def parameter_groups(self) -> list[ParameterGroup]:
        """The backbone's."""
        return self.backbone.parameter_groups()

    def start_epoch(self) -> None:
        """The backbone's own preparation."""
        self.backbone.start_epoch()

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """The backbone's."""
        return self.backbone.loss(batch)

    def representations(self) -> tuple[Tensor, Tensor]:
        """The backbone's."""
        return self.backbone.representations()
