"""What every pretrainer is, gets and gives: specification, settings, the `Pretrainer`.

A pretrainer makes item vectors of features and training interactions, once; any number of models then start from
them (`ModelSpec.pretraining`). The loop that trains one is `training.pretraining`, the list of them `registry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import FeatureUse, unmet_need
from mrs_pipeline.types import FeatureMatrix


@dataclass(frozen=True)
class PretrainerSpec:
    """What a pretrainer declares about itself; assets and checks are derived from it.

    Attributes:
        name: registry key and asset name, lower case; also the first part of its matrices' keys.
        title: as the paper writes it.
        paper: authors, venue, year.
        url: where the paper is.
        complexity: cost of one training step, in the shape letters of `types`.
        item_graph: whether it needs the modalities' kNN item graphs.
        features: whether they are needed, or used where there are some.
        user_graph, knowledge: never needed.
        raw: never used.
        pretraining: none is needed before it.
        code: modules below `mrs_pipeline`, beside its own, whose source decides what it does.
    """

    name: str
    title: str
    paper: str
    url: str
    complexity: str
    item_graph: bool = False
    features: FeatureUse = FeatureUse.REQUIRED
    user_graph: bool = False
    knowledge: bool = False
    raw: FeatureUse = FeatureUse.IGNORED
    tokens: FeatureUse = FeatureUse.IGNORED
    pretraining: None = None
    code: tuple[str, ...] = ()


class PretrainingConfig(ModelConfig):
    """Settings that all pretrainers have. Subclasses add fields with bounds and a docstring each."""

    embedding_size: int = Field(default=64, ge=1, le=4096)
    """Width D of the item vectors."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    """AdamW's step size."""
    weight_decay: float = Field(default=1e-5, ge=0)
    """AdamW's decoupled weight decay."""
    batch_size: int = Field(default=512, ge=1)
    """Items a step."""
    epochs: int = Field(default=100, ge=1)
    """Most passes over the items."""
    held_out: float = Field(default=0.1, ge=0, lt=1)
    """Share of the items whose loss decides when to stop; with 0 all items are learnt from until the last epoch."""
    patience: int = Field(default=5, ge=1)
    """Stop after this many epochs without a lower held-out loss; the best epoch's weights are kept."""
    seed: int = Field(default=1, ge=0)
    """Source of all randomness. One of the settings, since the vectors are one input for every fine-tuning."""


PretrainingT_co = TypeVar("PretrainingT_co", bound=PretrainingConfig, covariant=True)
"""Settings of a pretrainer."""


class Pretrainer(nn.Module, Generic[PretrainingT_co]):
    """A pretrainer.

    A subclass sets `spec` and `Config`, builds its parameters on `inputs.device`, and implements `items`, `loss`
    and `matrices`. All randomness comes from `self.generator`.
    """

    spec: ClassVar[PretrainerSpec]
    Config: ClassVar[type[PretrainingConfig]]

    def __init__(self, config: PretrainingT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.generator = generator
        self.n_items = inputs.n_items
        problem = unmet_need(
            self.spec,
            features=bool(inputs.features),
            knowledge=inputs.knowledge is not None,
            raw=bool(inputs.raw),
            tokens=bool(inputs.tokens),
        )
        if problem:
            raise InputError(f"pretraining '{self.spec.name}' {problem}")

    def items(self) -> Tensor:
        """[n] int64 what a step may be about: items, or numbers of the training pairs."""
        raise NotImplementedError

    def start_epoch(self) -> None:
        """Called before each pass over the items, for pretrainers that resample their surroundings."""

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """Named terms whose sum is minimised, weights included, for some of `items` [B]; each a scalar tensor."""
        raise NotImplementedError

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """The result: `<name>`, or `<name>/<part>` for several -> item vectors; called without gradients.

        Vectors of users are parts called `users` or `users_...`.
        """
        raise NotImplementedError


AnyPretrainer = Pretrainer[PretrainingConfig]
"""A pretrainer, whatever its settings are."""


def vector_matrix(key: str, vectors: Tensor, present: Tensor) -> FeatureMatrix:
    """Vectors [n, D] of items or users and mask [n] as they are kept: float32, zero where there is none."""
    values = torch.where(present.unsqueeze(1), vectors, 0.0)
    return FeatureMatrix(values.cpu().numpy().astype(np.float32), present.cpu().numpy(), key)
