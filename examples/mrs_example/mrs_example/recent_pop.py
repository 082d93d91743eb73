"""RecentPop: every user is shown the items with the most recent training interactions.

Equation: y_ui = sum over training rows of i of 2^(-(t_end - t) / half_life), t_end the latest training time. Without
times all rows count alike.
Complexity: O(E) to count, O(I) a user to rank.
"""

from typing import Never

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.base import HistoryVectors, Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class RecentPopConfig(ModelConfig):
    """Settings of RecentPop."""

    half_life_days: float = Field(default=30.0, gt=0)
    """Days after which an interaction counts half."""


class RecentPop(Recommender[RecentPopConfig, Never]):
    """Popularity that fades; see the module."""

    spec = ModelSpec(
        name="recent_pop",
        title="RecentPop",
        paper="an example",
        url="https://example.org/recent-pop",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = RecentPopConfig
    weights: Tensor

    def __init__(self, config: RecentPopConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._items, self._times = inputs.items, inputs.times
        self.register_buffer("weights", torch.zeros(inputs.n_items, device=inputs.device))

    def fit_closed_form(self) -> None:
        """Adds up what is left of each interaction."""
        rows = torch.ones(len(self._items), device=self.device, dtype=torch.float64)
        if self._times is not None:
            days = (self._times.max() - self._times).double() / 86_400
            rows = 0.5 ** (days / self.config.half_life_days)
        self.weights = torch.bincount(self._items, weights=rows, minlength=self.n_items).float()

    def representations(self) -> tuple[Tensor, Tensor]:
        """A one for each user, the sum for each item; D = 1."""
        return self.weights.new_ones(self.n_users, 1), self.weights.unsqueeze(1)

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """A one for anybody with a history: that training has not seen them makes no difference."""
        return lambda histories: self.weights.new_ones(len(histories), 1), self.weights.unsqueeze(1)
