"""RLAE and RDLAE: linear autoencoders whose diagonal is bounded in place of zero.

Moon et al., "It's Enough: Relaxing Diagonal Constraints in Linear Autoencoders for Recommendation", SIGIR 2023.
https://arxiv.org/abs/2305.12922

Equation: P = (R'R + diag(g))^-1 with g = reg_weight + dropout / (1 - dropout) * n, n_j the users of item j; B = I - P
diag(g + m) with m_j = (1 - diagonal_limit) / P_jj - g_j where 1 - g_j P_jj > diagonal_limit, else 0: the least squares
with B_jj <= diagonal_limit; Y = R B. A limit of 0 is EASE, or EDLAE with dropout; a limit of 1, ridge regression.

Deviations: B_jj, which scores only what a user has taken, is set to zero afterwards, as in the authors' code.

Complexity: O(I^3) once and three dense [I, I] matrices of memory; refused above `memory_limit_gb`.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.item_autoencoder import ItemAutoencoder, ItemAutoencoderConfig, dropout_ridge
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class RlaeConfig(ItemAutoencoderConfig):
    """Settings of RLAE."""

    search_space: ClassVar[SearchSpace] = {
        "reg_weight": (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
        "diagonal_limit": (0.1, 0.3, 0.5, 0.7, 0.9),
        "dropout": (0.0, 0.2, 0.5, 0.8),
    }

    diagonal_limit: float = Field(default=0.5, ge=0, le=1)
    """How large an item's own weight may become (the paper's xi)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the input that is dropped; above zero the model is RDLAE."""


class Rlae(ItemAutoencoder[RlaeConfig]):
    """Linear autoencoder with a bound on its diagonal; see the module."""

    spec = ModelSpec(
        name="rlae",
        title="RLAE",
        paper="Moon et al., SIGIR 2023",
        url="https://arxiv.org/abs/2305.12922",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I^3)",
        memory="O(I^2)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = RlaeConfig

    def ridge(self, counts: Tensor) -> Tensor:
        """The common ridge and the variance that dropout adds."""
        return super().ridge(counts) + dropout_ridge(counts, self.config.dropout)

    def column_scales(self, own: Tensor, ridge: Tensor) -> Tensor:
        """G + m: what holds the diagonal at the limit where it would be above."""
        limit = self.config.diagonal_limit
        return torch.where(1 - ridge * own > limit, (1 - limit) / own, ridge)
