"""MostPop: every user is shown the items with the most training interactions.

Equation: y_ui = |{v : (v, i) in train}|. The baseline that any model must beat; nothing is learned.
Complexity: O(E) to count, O(I) a user to rank.
"""

from typing import Never

import torch
from torch import Tensor

from mrs_pipeline.models.base import HistoryVectors, Recommender
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MostPopConfig(ModelConfig):
    """Nothing to set."""


class MostPop(Recommender[MostPopConfig, Never]):
    """Popularity of items; see the module."""

    spec = ModelSpec(
        name="most_pop",
        title="MostPop",
        paper="Cremonesi et al., RecSys 2010",
        url="https://doi.org/10.1145/1864708.1864721",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = MostPopConfig
    counts: Tensor

    def __init__(self, config: MostPopConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._items = inputs.items
        self.register_buffer("counts", torch.zeros(inputs.n_items, device=inputs.device))

    def fit_closed_form(self) -> None:
        """Counts."""
        self.counts = torch.bincount(self._items, minlength=self.n_items).float()

    def representations(self) -> tuple[Tensor, Tensor]:
        """A one for each user, the count for each item; D = 1."""
        return self.counts.new_ones(self.n_users, 1), self.counts.unsqueeze(1)

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """A one for each history."""
        return lambda histories: self.counts.new_ones(len(histories), 1), self.counts.unsqueeze(1)
