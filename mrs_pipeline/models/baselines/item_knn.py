"""ItemKNN: items like those a user has taken, alike by who took them or by content.

Deshpande & Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004; the content form is ItemKNN-CBF
of Ferrari Dacrema et al., "Are We Really Making Much Progress?", RecSys 2019.
https://doi.org/10.1145/963770.963776

Equation: s_ij = <x_i, x_j> / (|x_i| |x_j| + shrink), the `n_neighbours` largest of row i kept; y_uj = sum of s_ij
over the items i of u's history. x_i is the item's column of R (`source: interactions`) or its raw features
(`source: content`).

Deviations: an item does not count among its own neighbours, so `n_neighbours` = 10 here is 11 where it does. With
content, a modality that an item lacks adds nothing to its similarities.

Complexity: O(I^2 F), or O(sum of squared history lengths), once in blocks of rows; O(k) an item of history to
score.
"""

from collections.abc import Callable, Collection, Mapping
from typing import ClassVar, Literal, Never

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import Recommender, Scorer
from mrs_pipeline.models.config import ModelConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import interaction_matrix, linear_scorer
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_ROWS_AT_ONCE = 1024
"""Rows of similarities that stand in memory at once."""


class ItemKnnConfig(ModelConfig):
    """Settings of ItemKNN."""

    search_space: ClassVar[SearchSpace] = {
        "n_neighbours": (5, 10, 20, 50, 100),
        "shrink": (0.0, 10.0, 100.0),
    }
    former_names: ClassVar[Mapping[str, str]] = {"knn_k": "n_neighbours"}

    source: Literal["interactions", "content"] = "interactions"
    """What makes two items alike: the users they share, or their features (all modalities side by side)."""
    n_neighbours: int = Field(default=50, ge=1)
    """Neighbours of an item, itself not among them."""
    shrink: float = Field(default=10.0, ge=0)
    """Added to the denominator; keeps similarities small where there is little evidence."""

    def misfit(self, modalities: Collection[str]) -> str | None:
        """Content asks for features."""
        if self.source == "content" and not modalities:
            return (
                "with source: content needs item features and the dataset has none; list a feature set under "
                "`features:` or set source: interactions"
            )
        return None


class ItemKnn(Recommender[ItemKnnConfig, Never]):
    """Nearest-neighbour items; see the module."""

    spec = ModelSpec(
        name="item_knn",
        title="ItemKNN",
        paper="Deshpande & Karypis, TOIS 2004",
        url="https://doi.org/10.1145/963770.963776",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I^2 F)",
        features=FeatureUse.OPTIONAL,
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = ItemKnnConfig
    neighbours: Tensor
    similarities: Tensor

    def __init__(self, config: ItemKnnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._inputs = inputs
        shape = (inputs.n_items, min(config.n_neighbours, max(inputs.n_items - 1, 0)))
        self.register_buffer("neighbours", torch.zeros(shape, dtype=torch.int32, device=inputs.device))
        self.register_buffer("similarities", torch.zeros(shape, device=inputs.device))

    @property
    def sees_content(self) -> bool:
        """Only where the neighbours are those of the content."""
        return self.config.source == "content"

    def fit_closed_form(self) -> None:
        """Finds each item's neighbours, block by block."""
        inner = (
            _content_products(self._inputs)
            if self.config.source == "content"
            else _user_products(self._inputs)
        )
        for start in range(0, self.n_items, _ROWS_AT_ONCE):
            rows = torch.arange(start, min(start + _ROWS_AT_ONCE, self.n_items), device=self.device)
            products, norms = inner(rows)
            scale = norms[rows].unsqueeze(1) * norms + self.config.shrink
            cosine = products / scale.clamp(min=torch.finfo(scale.dtype).tiny)
            cosine[torch.arange(len(rows), device=self.device), rows] = -torch.inf
            values, columns = top_k(cosine, self.neighbours.shape[1])
            self.neighbours[rows], self.similarities[rows] = columns.int(), values

    def scorer(self) -> Scorer:
        """Sums the similarities to the history."""
        n, k = self.neighbours.shape
        rows = torch.arange(n, device=self.device).repeat_interleave(k)
        graph = Csr.from_pairs(rows, self.neighbours.flatten(), self.similarities.flatten(), (n, n))
        return linear_scorer(interaction_matrix(self._inputs), graph.tensor())


_InnerProducts = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Items [B] -> (inner products with all items [B, I], norms of all items [I])."""


def _content_products(inputs: ModelInputs) -> _InnerProducts:
    vectors = torch.cat(list(inputs.features.values()), dim=1)
    norms = vectors.norm(dim=1)
    return lambda rows: (vectors[rows] @ vectors.T, norms)


def _user_products(inputs: ModelInputs) -> _InnerProducts:
    rows = interaction_matrix(inputs)
    to_users = rows.transposed()
    norms = to_users.indptr.diff().float().sqrt()
    columns = rows.tensor()
    score = linear_scorer(to_users, columns)
    return lambda items: (score(items), norms)
