"""EASE. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019; with a content kernel.

https://arxiv.org/abs/1905.03375

Equation: G = R'R + feature_weight * X X' + reg_weight * I; P = G^-1; B_ij = -P_ij / P_jj, B_jj = 0; Y = R B.
X are the centred, row-normalised raw features of all modalities side by side.

Deviations: with `feature_weight` = 0, the default, none. The content kernel is an exploratory extension that
lets items alike in content share weight; a modality that an item lacks counts as average (zero after
centring), and an item that lacks all of them has no content.

Complexity: O(I^3) once and three dense [I, I] matrices of memory; refused above `memory_limit_gb`.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import (
    BatchKind,
    FeatureUse,
    ModelConfig,
    ModelInputs,
    ModelSpec,
    Recommender,
    Scorer,
    SearchSpace,
)
from mrs_pipeline.models.blocks import history, history_scorer
from mrs_pipeline.taxonomy import Cell

_DENSE_MATRICES = 3
"""Gram matrix, its factor and the inverse stand in memory at once."""


class EaseConfig(ModelConfig):
    """Settings of EASE."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)}

    reg_weight: float = Field(default=200.0, gt=0)
    """Ridge on the Gram matrix's diagonal (the paper's lambda)."""
    feature_weight: float = Field(default=0.0, ge=0)
    """Weight of the content kernel; above zero the dataset must have features."""
    memory_limit_gb: float = Field(default=4.0, gt=0)
    """Refuse to start where the dense matrices would need more."""


class Ease(Recommender):
    """Closed-form linear autoencoder; see the module."""

    spec = ModelSpec(
        name="ease",
        title="EASE",
        paper="Steck, WWW 2019",
        url="https://arxiv.org/abs/1905.03375",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I^3)",
        features=FeatureUse.OPTIONAL,
        batches=BatchKind.NONE,
    )
    Config = EaseConfig
    item_weights: Tensor

    def __init__(self, config: EaseConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        _refuse_if_too_large(inputs.n_items, config.memory_limit_gb)
        if config.feature_weight > 0 and not inputs.features:
            raise InputError(
                "model 'ease': feature_weight is above zero but the dataset has no item features"
            )
        self._inputs = inputs
        self._history = history(inputs)
        weights = torch.zeros(inputs.n_items, inputs.n_items, device=inputs.device)
        self.register_buffer("item_weights", weights)

    def fit_closed_form(self) -> None:
        """Inverts the regularised Gram matrix."""
        gram = _gram(self._history)
        if self.config.feature_weight > 0:
            content = _content(self._inputs)
            gram.addmm_(content, content.T, alpha=self.config.feature_weight)
        gram.diagonal().add_(self.config.reg_weight)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        del gram
        inverse /= -inverse.diagonal().clone()
        inverse.fill_diagonal_(0.0)
        self.item_weights = inverse.contiguous()  # LAPACK leaves it by columns, scoring reads rows

    def scorer(self) -> Scorer:
        """A user's history times the item weights."""
        return history_scorer(self._history, self.item_weights)


def _refuse_if_too_large(n_items: int, limit_gb: float) -> None:
    needed = _DENSE_MATRICES * 4 * n_items**2 / 1e9
    if needed > limit_gb:
        raise InputError(
            f"model 'ease' would need about {needed:.1f} GB for {n_items} items and its memory_limit_gb is "
            f"{limit_gb:g}; raise the limit, raise the k-core of the items, or leave the model out"
        )


def _gram(rows: Csr) -> Tensor:
    """R'R [I, I] of the histories [U, I]."""
    product = torch.mm(rows.transposed().tensor(), rows.tensor())
    return product.to_dense()


def _content(inputs: ModelInputs) -> Tensor:
    """All modalities side by side [I, F], centred over the items that have them, rows of length one."""
    centred = []
    for modality, values in inputs.features.items():
        present = inputs.present[modality].unsqueeze(1)
        mean = (values * present).sum(0) / present.sum().clamp(min=1)
        centred.append((values - mean) * present)
    return normalize(torch.cat(centred, dim=1), dim=1)
