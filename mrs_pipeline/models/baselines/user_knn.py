"""UserKNN: what users have taken who are like a user.

Herlocker et al., "An Algorithmic Framework for Performing Collaborative Filtering", SIGIR 1999, with the similarities
for implicit feedback of Ferrari Dacrema et al., "Are We Really Making Much Progress?", RecSys 2019.
https://doi.org/10.1145/312624.312682

Equation: s_vu = N_vu / (scale_vu + shrink) with N_vu = sum of w_i over the items i of both users; the `n_neighbours`
largest of each u kept; y_ui = sum of s_vu over those of them who have taken i. The scale is that of `similarity`, by
default the cosine; w_i is 1, n_i^-1/2 or n_i^-1 with n_i the users of i.

Deviations: none. It is ItemKNN with users and items exchanged, before pruning.

Complexity: O(sum of squared numbers of users of the items) once in blocks of rows of 64 MiB; memory O(U k).
"""

from typing import ClassVar, Never

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.folding import history_matrix
from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sequences import OrderedHistories
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Recommender, Scorer
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import interaction_matrix, linear_scorer
from mrs_pipeline.models.layers.neighbours import (
    EXPONENTS,
    NeighbourConfig,
    Products,
    Similarity,
    Weighting,
    kept,
    nearest_rows,
    shared_products,
    similarities_to,
)
from mrs_pipeline.models.layers.sparse_item_weights import neighbour_matrix
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class UserKnnConfig(NeighbourConfig):
    """Settings of UserKNN."""

    search_space: ClassVar[SearchSpace] = {
        "similarity": ("conditional", "cosine", "asymmetric", "jaccard"),
        "item_weight": ("one", "inverse_root", "inverse"),
        "alpha": (0.0, 0.25, 0.5, 0.75, 1.0),
        "shrink": (0.0, 1.0, 10.0, 100.0),
        "n_neighbours": (20, 50, 100, 200, 500),
    }

    similarity: Similarity = "cosine"
    """As in ItemKNN, with v for i and u for j."""
    shrink: float = Field(default=0.0, ge=0)
    """Added to the denominator; keeps similarities small where there is little evidence."""
    item_weight: Weighting = "inverse_root"
    """What an item with n users counts among those that two users share: 1, n^-1/2 or n^-1."""


class UserKnn(Recommender[UserKnnConfig, Never]):
    """Nearest-neighbour users; see the module."""

    spec = ModelSpec(
        name="user_knn",
        title="UserKNN",
        paper="Herlocker et al., SIGIR 1999",
        url="https://doi.org/10.1145/312624.312682",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(sum of squared item degrees)",
        batches=BatchKind.NONE,
    )
    Config = UserKnnConfig
    neighbours: Tensor
    similarities: Tensor

    def __init__(self, config: UserKnnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._history = interaction_matrix(inputs)
        shape = (inputs.n_users, kept(config.n_neighbours, inputs.n_users))
        self.register_buffer("neighbours", torch.zeros(shape, dtype=torch.int32, device=inputs.device))
        self.register_buffer("similarities", torch.zeros(shape, device=inputs.device))

    def fit_closed_form(self) -> None:
        """Finds each user's neighbours, block by block."""
        products = shared_products(self._history, EXPONENTS[self.config.item_weight])
        self.neighbours, self.similarities = nearest_rows(products, self.config, "target")

    def scorer(self) -> Scorer:
        """Sums the similarities of the neighbours who have taken an item."""
        graph = neighbour_matrix(self.neighbours, self.similarities)
        return linear_scorer(graph, self._history.tensor())

    def history_scorer(self) -> HistoryScorer:
        """Finds the neighbours of a history among the users of training as it finds theirs."""
        exponent = EXPONENTS[self.config.item_weight]
        products = shared_products(self._history, exponent)
        weights = self._history.transposed().indptr.diff().clamp(min=1).float() ** exponent
        takers, taken = self._history.tensor().t().to_sparse_csr(), self._history.tensor()
        width = self.neighbours.shape[1]

        def score(histories: OrderedHistories) -> Tensor:
            rows = history_matrix(histories, self.n_items)
            weighted = rows.with_weights(weights[rows.indices.long()]).tensor()
            shared = torch.mm(weighted, takers).to_dense()
            own, counts = (torch.zeros(len(histories), device=self.device) for _ in range(2))
            own.index_add_(0, rows.row_numbers(), weights[rows.indices.long()])
            counts += rows.indptr.diff()
            asked = Products(products.rows, own, counts)
            values, columns = top_k(similarities_to(shared, asked, products, self.config, "target"), width)
            graph = Csr.from_pairs(
                torch.arange(len(rows.indptr) - 1, device=self.device).repeat_interleave(width),
                columns.flatten(),
                values.flatten(),
                (len(histories), self.n_users),
            )
            return torch.mm(graph.tensor(), taken).to_dense()

        return score
