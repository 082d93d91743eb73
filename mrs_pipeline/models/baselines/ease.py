"""EASE. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.

https://arxiv.org/abs/1905.03375

Equation: P = (R'R + reg_weight * I)^-1; B_ij = -P_ij / P_jj, B_jj = 0; Y = R B.

Deviations: none. With content in the Gram matrix the same regression is `fusion.mm_ease`.

Complexity: O(I^3) once and three dense [I, I] matrices of memory; refused above `memory_limit_gb`.
"""

from typing import ClassVar

from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.layers.item_autoencoder import ItemAutoencoder, ItemAutoencoderConfig
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class EaseConfig(ItemAutoencoderConfig):
    """Settings of EASE."""

    search_space: ClassVar[SearchSpace] = {"reg_weight": (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)}


class Ease(ItemAutoencoder[EaseConfig]):
    """Closed-form linear autoencoder; see the module."""

    spec = ModelSpec(
        name="ease",
        title="EASE",
        paper="Steck, WWW 2019",
        url="https://arxiv.org/abs/1905.03375",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(I^3)",
        memory="O(I^2)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = EaseConfig
