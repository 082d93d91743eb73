"""Raw features as modules take them in: columns of mean 0 and deviation 1, attention over an item's modalities."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.base import ModelInputs
from mrs_pipeline.models.blocks import linear


class StandardFeatures:
    """Features whose columns have mean 0 and deviation 1 over the items that have them; missing rows are zero.

    Only the two rows of statistics are kept beside the features; rows are standardised when asked for.
    """

    def __init__(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> None:
        self._features, self._present = features, present
        self._means: dict[str, Tensor] = {}
        self._scales: dict[str, Tensor] = {}
        for modality, values in features.items():
            known = present[modality].unsqueeze(1)
            n = known.sum().clamp(min=1)
            mean = values.sum(0) / n  # missing rows are zero
            variance = torch.where(known, values - mean, 0.0).square().sum(0) / n
            # a column that never varies tells items apart by rounding errors only
            varies = variance > 1e-8 * mean.square()
            self._means[modality] = mean
            self._scales[modality] = torch.where(varies, variance.rsqrt(), 0.0)

    def rows(self, modality: str, items: Tensor) -> Tensor:
        """[B, F] of `items` [B]."""
        values = (take_rows(self._features[modality], items) - self._means[modality]) * self._scales[modality]
        return torch.where(take_rows(self._present[modality], items).unsqueeze(1), values, 0.0)


class ModalityAttention(nn.Module):
    """An item's modalities as one vector: sum_m a_m h_m with h_m = W_m x~^m + b_m, a = softmax(A tanh([h_1; ..; h_M])).

    The attention of PMGT (Liu et al., MM 2021). A modality that an item lacks gets no share; an item that lacks all
    of them gets a learned vector.
    """

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._features = StandardFeatures(inputs.features, inputs.present)
        self._present = inputs.present
        self.layers = nn.ModuleDict(
            {name: linear(values.shape[1], size, generator) for name, values in inputs.features.items()}
        )
        n = len(inputs.features)
        # one modality gets the whole share whatever the attention says
        self.attention = linear(n * size, n, generator) if n > 1 else None
        self.unknown: nn.Parameter | None = None
        if not bool(torch.stack(list(inputs.present.values())).any(0).all()):
            start = torch.empty(1, size, device=generator.device)
            nn.init.xavier_normal_(start, generator=generator)
            self.unknown = nn.Parameter(start[0])

    def forward(self, items: Tensor) -> Tensor:
        """[B, D] of `items` [B]."""
        present = torch.stack([take_rows(mask, items) for mask in self._present.values()], dim=1)
        tokens = torch.stack(
            [layer(self._features.rows(name, items)) for name, layer in self.layers.items()], dim=1
        )
        tokens = torch.where(present.unsqueeze(2), tokens, 0.0)
        some = present.any(1, keepdim=True)
        if self.attention is None:
            fused = tokens[:, 0]
        else:
            logits = self.attention(tokens.tanh().flatten(1)).masked_fill(~present & some, -torch.inf)
            fused = (logits.softmax(1).unsqueeze(2) * tokens).sum(1)
        return fused if self.unknown is None else torch.where(some, fused, self.unknown)


def with_unit_features(inputs: ModelInputs) -> ModelInputs:
    """The inputs with each feature row at Euclidean length one, so that no modality weighs by its scale.

    Missing rows, and rows without a direction, stay zero.
    """
    return replace(inputs, features={name: normalize(rows, dim=1) for name, rows in inputs.features.items()})
