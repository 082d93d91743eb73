"""EDLAE. Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.

https://proceedings.neurips.cc/paper/2020/hash/e33d974aae13e4d877477d51d8bafdc4-Abstract.html

Equation: P = (R'R + diag(reg_weight + dropout / (1 - dropout) * n))^-1 with n_j the users of item j; B_ij = -P_ij /
P_jj, B_jj = 0; Y = R B. It is the expectation of the linear autoencoder whose input items are dropped out with
probability `dropout`, which asks more of popular items; without dropout it is EASE.

Deviations: none.

Complexity: O(I^3) once and three dense [I, I] matrices of memory; refused above `memory_limit_gb`.
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.item_autoencoder import ItemAutoencoder, ItemAutoencoderConfig, dropout_ridge
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class EdlaeConfig(ItemAutoencoderConfig):
    """Settings of EDLAE."""

    search_space: ClassVar[SearchSpace] = {
        "reg_weight": (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
        "dropout": (0.1, 0.3, 0.5, 0.7, 0.9),
    }

    reg_weight: float = Field(default=100.0, gt=0)
    """Ridge that all items have in common."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the input that is dropped."""


class Edlae(ItemAutoencoder[EdlaeConfig]):
    """Linear autoencoder with dropout in expectation; see the module."""

    spec = ModelSpec(
        name="edlae",
        title="EDLAE",
        paper="Steck, NeurIPS 2020",
        url="https://proceedings.neurips.cc/paper/2020/hash/e33d974aae13e4d877477d51d8bafdc4-Abstract.html",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I^3)",
        memory="O(I^2)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = EdlaeConfig

    def ridge(self, counts: Tensor) -> Tensor:
        """The common ridge and the variance that dropout adds."""
        return super().ridge(counts) + dropout_ridge(counts, self.config.dropout)
