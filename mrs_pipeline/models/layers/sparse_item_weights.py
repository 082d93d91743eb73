"""The linear model whose item weights are a few of each item: what neighbour models and SLIM share."""

from typing import Never, TypeVar

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Recommender, Scorer
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import (
    interaction_matrix,
    linear_history_scorer,
    linear_scorer,
)
from mrs_pipeline.models.layers.neighbours import Side

SettingsT_co = TypeVar("SettingsT_co", bound=ModelConfig, covariant=True)


class SparseItemWeights(Recommender[SettingsT_co, Never]):
    """y_u = sum of s_i over the items i of u's history, s [I, I] with `width` entries of an item.

    Filled by `fit_closed_form` of a subclass: `neighbours` [I, width] int32 and `similarities` [I, width]. With the
    side `source` an item's row holds what follows from it, with `target` what it follows from.
    """

    neighbours: Tensor
    similarities: Tensor

    def __init__(
        self, config: SettingsT_co, inputs: ModelInputs, generator: torch.Generator, width: int, side: Side
    ) -> None:
        super().__init__(config, inputs, generator)
        self.side = side
        self.history = interaction_matrix(inputs)
        shape = (inputs.n_items, width)
        self.register_buffer("neighbours", torch.zeros(shape, dtype=torch.int32, device=inputs.device))
        self.register_buffer("similarities", torch.zeros(shape, device=inputs.device))

    def scorer(self) -> Scorer:
        """Sums the similarities to the history."""
        return linear_scorer(self.history, self._weights())

    def history_scorer(self) -> HistoryScorer:
        """The same of any histories."""
        return linear_history_scorer(self._weights())

    def weight_paths(self) -> dict[str, Tensor]:
        """The tables that stand side by side in a row, by name; a subclass says which columns are whose."""
        return {name: self._weights(columns) for name, columns in self.tables().items()}

    def tables(self) -> dict[str, slice]:
        """Name of a table -> its columns of `neighbours`."""
        return {"interactions": slice(None)}

    def _weights(self, columns: slice = slice(None)) -> Tensor:
        """[I, I] sparse."""
        graph = neighbour_matrix(self.neighbours[:, columns], self.similarities[:, columns])
        return (graph.transposed() if self.side == "target" else graph).tensor()


def neighbour_matrix(columns: Tensor, values: Tensor) -> Csr:
    """[n, n] whose row i has `values[i]` in `columns[i]`; what stands twice is added up.

    >>> neighbour_matrix(torch.tensor([[1, 1], [0, 1]]), torch.ones(2, 2)).tensor().to_dense()
    tensor([[0., 2.],
            [1., 1.]])
    """
    n, width = columns.shape
    rows = torch.arange(n, device=columns.device).repeat_interleave(width)
    return Csr.from_pairs(rows, columns.flatten(), values.flatten(), (n, n))
