"""What models do to item features before they learn from them."""

from dataclasses import replace

from torch.nn.functional import normalize

from mrs_pipeline.models.base import ModelInputs


def with_unit_features(inputs: ModelInputs) -> ModelInputs:
    """The inputs with each feature row at Euclidean length one, so that no modality weighs by its scale.

    Missing rows, and rows without a direction, stay zero.
    """
    return replace(inputs, features={name: normalize(rows, dim=1) for name, rows in inputs.features.items()})
