"""The linear item autoencoder that EASE and its relatives share: one ridge regression of the catalogue on itself."""

from typing import Never, TypeVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Recommender, Scorer
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import (
    interaction_matrix,
    linear_history_scorer,
    linear_scorer,
)

INTERACTIONS = "interactions"
"""Name of the path from what others took."""
_DENSE_MATRICES = 3
"""Gram matrix, its factor and the inverse stand in memory at once."""


class ItemAutoencoderConfig(ModelConfig):
    """Settings of a linear item autoencoder."""

    reg_weight: float = Field(default=200.0, gt=0)
    """Ridge on the Gram matrix's diagonal (the paper's lambda)."""
    memory_limit_gb: float = Field(default=4.0, gt=0)
    """Refuse to start where the dense matrices would need more."""


AutoencoderT_co = TypeVar("AutoencoderT_co", bound=ItemAutoencoderConfig, covariant=True)


class ItemAutoencoder(Recommender[AutoencoderT_co, Never]):
    """Y = R B with B_ij = -P_ij s_j, B_jj = 0, P = (G + diag(ridge))^-1 and G = R'R.

    As it stands the ridge is `reg_weight` and s_j = 1 / P_jj: the least squares whose diagonal is held at zero. A
    subclass may add to G, to the ridge, or say with which s_j its diagonal is held.
    """

    item_weights: Tensor

    def __init__(self, config: AutoencoderT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        _refuse_if_too_large(self.spec.name, inputs.n_items, config.memory_limit_gb)
        self._history = interaction_matrix(inputs)
        weights = torch.zeros(inputs.n_items, inputs.n_items, device=inputs.device)
        self.register_buffer("item_weights", weights)

    def gram(self) -> Tensor:
        """[I, I], a fresh tensor: how alike two items are, before the ridge."""
        return _shared_users(self._history)

    def ridge(self, counts: Tensor) -> Tensor:
        """[I] added to the diagonal, of the users `counts` [I] of each item."""
        return torch.full_like(counts, self.config.reg_weight)

    def column_scales(self, own: Tensor, ridge: Tensor) -> Tensor:  # noqa: ARG002
        """[I] s_j of P_jj `own` [I] and the ridge [I]."""
        return 1 / own

    def fit_closed_form(self) -> None:
        """Inverts the regularised Gram matrix."""
        gram = self.gram()
        counts = torch.bincount(self._history.indices, minlength=self.n_items).to(gram.dtype)
        ridge = self.ridge(counts)
        gram.diagonal().add_(ridge)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        del gram
        inverse *= -self.column_scales(inverse.diagonal().clone(), ridge)
        inverse.fill_diagonal_(0.0)
        self.item_weights = inverse.contiguous()  # LAPACK leaves it by columns, scoring reads rows

    def scorer(self) -> Scorer:
        """A user's history times the item weights."""
        return linear_scorer(self._history, self.item_weights)

    def weight_paths(self) -> dict[str, Tensor]:
        """One: all weights."""
        return {INTERACTIONS: self.item_weights}

    def history_scorer(self) -> HistoryScorer:
        """The same of any histories."""
        return linear_history_scorer(self.item_weights)


def dropout_ridge(counts: Tensor, dropped: float) -> Tensor:
    """[I] what dropout of the share `dropped` of the input adds to the ridge of items with `counts` [I] users.

    E[X'X] of a dropped-out and rescaled R is R'R plus this on the diagonal (Steck, NeurIPS 2020).
    """
    return dropped / (1 - dropped) * counts


def _refuse_if_too_large(name: str, n_items: int, limit_gb: float) -> None:
    needed = _DENSE_MATRICES * 4 * n_items**2 / 1e9
    if needed > limit_gb:
        raise InputError(
            f"model '{name}' would need about {needed:.1f} GB for {n_items} items and its memory_limit_gb is "
            f"{limit_gb:g}; raise the limit, raise the k-core of the items, or leave the model out"
        )


def _shared_users(rows: Csr) -> Tensor:
    """R'R [I, I] of the histories [U, I]."""
    product = torch.mm(rows.transposed().tensor(), rows.tensor())
    return product.to_dense()
