"""MM-EASE: EASE with a content kernel. The regression is Steck's (WWW 2019); the kernel is this project's own.

https://arxiv.org/abs/1905.03375

Equation: P = (R'R + feature_weight * X X' + reg_weight * I)^-1; B_ij = -P_ij / P_jj, B_jj = 0; Y = R B. X are
the centred raw features of all modalities side by side, each row of length one.

Deviations: from EASE, the kernel: as if `feature_weight` users had taken each item, and pairs of items in the
measure in which they are alike. It is an exploratory variant without a paper of its own. A modality that an item
lacks counts as average (zero after centring), and an item that lacks all of them has no content. Cold items,
which have no column in R'R, are ranked by the kernel alone.

Complexity: O(I^3 + I^2 F) once; three dense [I, I] matrices and the features of memory, refused above
`memory_limit_gb`.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.content import centred
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.item_autoencoder import ItemAutoencoder, ItemAutoencoderConfig
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MmEaseConfig(ItemAutoencoderConfig):
    """Settings of MM-EASE."""

    search_space: ClassVar[SearchSpace] = {
        "reg_weight": (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
        "feature_weight": (10.0, 30.0, 100.0, 300.0, 1000.0),
    }

    feature_weight: float = Field(default=100.0, gt=0)
    """Weight of the content kernel beside the counts of shared users."""


class MmEase(ItemAutoencoder[MmEaseConfig]):
    """EASE whose Gram matrix also knows content; see the module."""

    spec = ModelSpec(
        name="mm_ease",
        title="MM-EASE",
        paper="after Steck, WWW 2019",
        url="https://arxiv.org/abs/1905.03375",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(I^3 + I^2 F)",
        memory="O(I^2)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = MmEaseConfig

    def __init__(self, config: MmEaseConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._inputs = inputs

    def gram(self) -> Tensor:
        """Shared users plus likeness in content."""
        gram, content = super().gram(), _content(self._inputs)
        return gram.addmm_(content, content.T, alpha=self.config.feature_weight)


def _content(inputs: ModelInputs) -> Tensor:
    """All modalities side by side [I, F], centred over the items that have them, rows of length one."""
    parts = [centred(values, inputs.present[modality]) for modality, values in inputs.features.items()]
    return normalize(torch.cat(parts, dim=1), dim=1)
