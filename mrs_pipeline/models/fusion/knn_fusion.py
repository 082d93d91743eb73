"""KNN fusion: ItemKNN over shared users and one ItemKNN over the content of each modality, added up late.

The neighbours are those of Deshpande & Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004, and of
ItemKNN-CBF in Ferrari Dacrema et al., "Are We Really Making Much Progress?", RecSys 2019; that their scores are added
up is the weighted hybrid of Burke, "Hybrid Recommender Systems", UMUAI 2002.
https://doi.org/10.1145/963770.963776

Equation: y_u = sum over the items i of u's history of s_i with S = (1 - content_weight) S_users / c + content_weight *
mean over the modalities m of S_m / c_m. S_users are the similarities of `item_knn` for interactions, S_m the cosines
of the modality's features, `content_neighbours` of a row kept in each; c is the mean of the row sums of a table over
the items that have any.

Deviations: features are centred before cosines are taken, and those below zero are left out. An item that lacks a
modality has no neighbours in it.

Complexity: O(sum of squared history lengths + I^2 F) once in blocks of rows of 64 MiB; memory O(I k M).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.content import centred
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.neighbours import (
    EXPONENTS,
    NeighbourConfig,
    Weighting,
    kept,
    nearest_rows,
    shared_products,
    vector_products,
)
from mrs_pipeline.models.layers.sparse_item_weights import SparseItemWeights
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class KnnFusionConfig(NeighbourConfig):
    """Settings of the fusion of neighbours."""

    search_space: ClassVar[SearchSpace] = {
        "content_weight": (0.05, 0.1, 0.2, 0.3, 0.5),
        "content_neighbours": (5, 10, 20, 50, 100),
        "user_weight": ("inverse_root", "inverse"),
        "shrink": (1.0, 10.0, 100.0),
        "n_neighbours": (20, 50, 100, 200),
    }

    content_weight: float = Field(default=0.2, ge=0, le=1)
    """Share of content in the score."""
    content_neighbours: int = Field(default=20, ge=1)
    """Neighbours kept of each item in each modality."""
    user_weight: Weighting = "inverse_root"
    """What a user with n items counts among those whom two items share: 1, n^-1/2 or n^-1."""


class KnnFusion(SparseItemWeights[KnnFusionConfig]):
    """Neighbours by users and by content, added up; see the module."""

    spec = ModelSpec(
        name="knn_fusion",
        title="KNN fusion",
        paper="after Deshpande & Karypis, TOIS 2004",
        url="https://doi.org/10.1145/963770.963776",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(I^2 F)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = KnnFusionConfig

    def __init__(self, config: KnnFusionConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        n, modalities = inputs.n_items, len(inputs.features)
        width = kept(config.n_neighbours, n) + modalities * kept(config.content_neighbours, n)
        super().__init__(config, inputs, generator, width, "source")
        self._inputs = inputs

    def tables(self) -> dict[str, slice]:
        """Neighbours by users, then by each modality."""
        first, width = (
            kept(n, self.n_items) for n in (self.config.n_neighbours, self.config.content_neighbours)
        )
        starts = {name: first + at * width for at, name in enumerate(self._inputs.features)}
        content = {name: slice(start, start + width) for name, start in starts.items()}
        return {"interactions": slice(first), **content}

    def fit_closed_form(self) -> None:
        """Finds the neighbours of every kind and scales them to one measure."""
        config, features = self.config, self._inputs.features
        products = shared_products(self.history.transposed(), EXPONENTS[config.user_weight])
        columns, values = nearest_rows(products, config, "source")
        tables = [(columns, (1 - config.content_weight) * of_mean_row(values))]
        by_content = config.model_copy(
            update={"similarity": "cosine", "shrink": 0.0, "n_neighbours": config.content_neighbours}
        )
        for modality, vectors in features.items():
            rows = centred(vectors, self._inputs.present[modality])
            columns, cosines = nearest_rows(vector_products(rows), by_content, "source")
            share = config.content_weight / len(features)
            tables.append((columns, share * of_mean_row(cosines.clamp(min=0))))
        self.neighbours = torch.cat([columns for columns, _ in tables], dim=1)
        self.similarities = torch.cat([values for _, values in tables], dim=1)


def of_mean_row(values: Tensor) -> Tensor:
    """Weights [n, k] >= 0 over the mean of their row sums, rows of zeros left out.

    >>> of_mean_row(torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 0.0]]))  # the mean of 4 and 2
    tensor([[0.3333, 1.0000],
            [0.0000, 0.0000],
            [0.6667, 0.0000]])
    """
    sums = values.sum(1)
    mean = sums.sum() / (sums > 0).sum().clamp(min=1)
    return values / mean.clamp(min=torch.finfo(values.dtype).tiny)
