"""ItemKNN: items like those a user has taken, alike by who took them or by content.

Deshpande & Karypis, "Item-Based Top-N Recommendation Algorithms", TOIS 2004; the content form is ItemKNN-CBF
of Ferrari Dacrema et al., "Are We Really Making Much Progress?", RecSys 2019.
https://doi.org/10.1145/963770.963776

Equation: s_ij = N_ij / (scale_ij + shrink) with N_ij = sum of w_u over the users u of both; the `n_neighbours` largest
of row i (`neighbourhood: source`) or of column j (`target`) kept; y_uj = sum of s_ij over the items i of u's history.
The scale is that of `similarity`; w_u is 1, |u|^-1/2 or |u|^-1. The paper's conditional probability with user rows of
unit length is scale_ij = n_i n_j^alpha with w_u = |u|^-1/2, the default; with w_u = |u|^-1 it is the graph of RP3beta
(Paudel et al., TiiS 2017), its beta being `alpha`. By content N_ij = <x_i, x_j> of raw features and the default is
the cosine.

Deviations: an item does not count among its own neighbours, so `n_neighbours` = 10 here is 11 where it does. With
content, a modality that an item lacks adds nothing to its similarities.

Complexity: O(sum of squared history lengths), or O(I^2 F), once in blocks of rows of 64 MiB; memory O(I k). O(k) an
item of history to score.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

import torch
from pydantic import model_validator

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.neighbours import (
    EXPONENTS,
    NeighbourConfig,
    Products,
    Side,
    Weighting,
    kept,
    nearest_rows,
    shared_products,
    vector_products,
)
from mrs_pipeline.models.layers.sparse_item_weights import SparseItemWeights
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class ItemKnnConfig(NeighbourConfig):
    """Settings of ItemKNN."""

    search_space: ClassVar[SearchSpace] = {
        "similarity": ("conditional", "cosine", "asymmetric", "jaccard"),
        "user_weight": ("one", "inverse_root", "inverse"),
        "alpha": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
        "shrink": (0.0, 1.0, 10.0, 100.0),
        "n_neighbours": (10, 20, 50, 100, 200, 500),
        "neighbourhood": ("source", "target"),
    }

    source: Literal["interactions", "content"] = "interactions"
    """What makes two items alike: the users they share, or their features."""
    modality: str = ""
    """With content, the one modality whose features count; all of them side by side where it is empty."""
    user_weight: Weighting = "inverse_root"
    """What a user with n items counts among those whom two items share: 1, n^-1/2 or n^-1; none with content."""
    neighbourhood: Side = "source"
    """Whether the nearest are kept of each item of the history (source) or of each item to be ranked (target)."""

    @model_validator(mode="before")
    @classmethod
    def _content_by_cosine(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("source") == "content":
            return {"similarity": "cosine", "n_neighbours": 50, **values}
        return values

    def misfit(self, modalities: Collection[str]) -> str | None:
        """Content asks for features."""
        if self.source == "content" and not modalities:
            return (
                "with source: content needs item features and the dataset has none; list a feature set under "
                "`features:` or set source: interactions"
            )
        if self.modality and self.modality not in modalities:
            return (
                f"has modality '{self.modality}', but the dataset has features of {sorted(modalities)} only"
            )
        return None


class ItemKnn(SparseItemWeights[ItemKnnConfig]):
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

    def __init__(self, config: ItemKnnConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        width = kept(config.n_neighbours, inputs.n_items)
        super().__init__(config, inputs, generator, width, config.neighbourhood)
        self._features = inputs.features

    @property
    def sees_content(self) -> bool:
        """Only where the neighbours are those of the content."""
        return self.config.source == "content"

    def fit_closed_form(self) -> None:
        """Finds each item's neighbours, block by block."""
        self.neighbours, self.similarities = nearest_rows(self._products(), self.config, self.side)

    def _products(self) -> Products:
        if self.config.source == "interactions":
            return shared_products(self.history.transposed(), EXPONENTS[self.config.user_weight])
        chosen = [self.config.modality] if self.config.modality else list(self._features)
        return vector_products(torch.cat([self._features[name] for name in chosen], dim=1))
