"""Vectors of users and items by any factor model, learned first and then held: what GoRec and ALDI start from.

Bai et al., "GoRec: A Generative Cold-Start Recommendation Framework", MM 2023 (which takes a visual SimGCL).
https://doi.org/10.1145/3581783.3612238

Equation: the loss of the model named, of training pairs (u, i) and an item j that u has not taken; the vectors are
its representations, whose inner products are its scores.

Deviations: none of its own; those of the model are in its file. A tenth of the pairs is held out and decides, by the
model's loss, when to stop: validation rows stay unseen.

Complexity: the model's.
"""

from collections.abc import Mapping
from typing import TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sampling import NegativeSampler
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import ModelConfig, NeighbourSetting
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.pretraining.base import Pretrainer, PretrainerSpec, PretrainingConfig, vector_matrix
from mrs_pipeline.models.spec import FeatureUse
from mrs_pipeline.models.wrapping import factor_model, require_wrapped, wrapped_config
from mrs_pipeline.types import FeatureMatrix


class FactorsConfig(PretrainingConfig):
    """Settings of the first step by a factor model."""

    model: str = "lightgcn"
    """Name of the model: one of vectors of users and items, of interactions alone or with features."""
    settings: Mapping[str, object] = {}
    """Overrides of the model's own settings; embedding size and learning rate are those beside."""
    batch_size: int = Field(default=1024, ge=1)
    """Training pairs a step."""

    def wrapped(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)

    @property
    def item_neighbours(self) -> NeighbourSetting | None:
        """The model's."""
        return self.inner().item_neighbours

    def inner(self) -> ModelConfig:
        """The model's settings."""
        shared = {"embedding_size": self.embedding_size, "learning_rate": self.learning_rate}
        return wrapped_config(factor_model(self.model), self.settings, shared)

    _can_be_wrapped = model_validator(mode="after")(require_wrapped)


FactorsT_co = TypeVar("FactorsT_co", bound=FactorsConfig, covariant=True)


class FactorVectors(Pretrainer[FactorsT_co]):
    """Trains a factor model on training pairs and gives its vectors, `<name>/users` and `<name>/items`."""

    def __init__(self, config: FactorsT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.model = factor_model(config.model)(config.inner(), inputs, generator)
        self._sampler = NegativeSampler.from_pairs(inputs.users, inputs.items, inputs.n_users)
        rankable = self._sampler.free[inputs.users] > 0
        self._users, self._items = inputs.users[rankable], inputs.items[rankable]
        self._negatives = self.model.batch_settings().get("negatives", 1)
        self._users_seen = inputs.users_seen()

    def items(self) -> Tensor:
        """Numbers of the training pairs."""
        return torch.arange(len(self._users), device=self.generator.device)

    def start_epoch(self) -> None:
        """The model's own preparation."""
        self.model.start_epoch()

    def loss(self, items: Tensor) -> dict[str, Tensor]:
        """The model's, of the training pairs whose numbers are `items`."""
        users, positives = take_rows(self._users, items), take_rows(self._items, items)
        many = users if self._negatives == 1 else users.unsqueeze(1).expand(-1, self._negatives)
        return self.model.loss(PairBatch(users, positives, self._sampler.draw(many, self.generator)))

    def matrices(self) -> Mapping[str, FeatureMatrix]:
        """Vectors of all users and items of which the model knows anything."""
        users, items = self.model.representations()
        own = {"users": (users, self._users_seen), "items": (items, self.model.rankable)}
        keys = {part: f"{self.spec.name}/{part}" for part in own}
        return {keys[part]: vector_matrix(keys[part], *found) for part, found in own.items()}


class FactorsPretrainer(FactorVectors[FactorsConfig]):
    """Vectors of users and items; see the module."""

    spec = PretrainerSpec(
        name="factors",
        title="Factors",
        paper="as in Bai et al., MM 2023",
        url="https://doi.org/10.1145/3581783.3612238",
        complexity="the model's",
        features=FeatureUse.OPTIONAL,
    )
    Config = FactorsConfig
