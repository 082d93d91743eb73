"""Each modality's raw features projected to one width."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.parameters import linear, vector


class ModalityProjection(nn.Module):
    """Each modality's raw features projected to the embedding size: W_m x_i^m + b_m.

    Where an item lacks the modality it gets a learned vector of that modality instead, so that "not known" is
    never mistaken for "all features are zero". Raw features stay frozen and are projected for the rows asked
    for.
    """

    def __init__(self, inputs: ModelInputs, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.features: Mapping[str, Tensor] = inputs.features
        self.present: Mapping[str, Tensor] = inputs.present
        self.layers = nn.ModuleDict()
        self.missing = nn.ParameterDict()
        for modality, values in inputs.features.items():
            self.layers[modality] = linear(values.shape[1], size, generator)
            if not bool(inputs.present[modality].all()):
                self.missing[modality] = vector(size, generator)

    def forward(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Modality -> [B, D] for `items` [B] int64, or [I, D] for all items."""
        projected: dict[str, Tensor] = {}
        for modality, layer in self.layers.items():
            values, present = self.features[modality], self.present[modality]
            if items is not None:
                values, present = take_rows(values, items), take_rows(present, items)
            rows = layer(values)
            if modality in self.missing:
                rows = torch.where(present.unsqueeze(1), rows, self.missing[modality])
            projected[modality] = rows
        return projected

    def summed(self, items: Tensor | None = None) -> Tensor:
        """The sum of the modalities [B, D], or [I, D] for all items."""
        return torch.stack(list(self(items).values())).sum(0)


def with_unit_features(inputs: ModelInputs) -> ModelInputs:
    """The inputs with each feature row at Euclidean length one, so that no modality weighs by its scale.

    Missing rows, and rows without a direction, stay zero.
    """
    return replace(inputs, features={name: normalize(rows, dim=1) for name, rows in inputs.features.items()})
