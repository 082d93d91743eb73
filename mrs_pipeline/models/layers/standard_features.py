"""Raw features with columns of mean 0 and deviation 1."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.rows import take_rows


class StandardFeatures:
    """Features whose columns have mean 0 and deviation 1 over the items that have them; missing rows are zero.

    Only the two rows of statistics are kept beside the features; rows are standardised when asked for.

    >>> values, present = torch.tensor([[1.0], [3.0], [0.0]]), torch.tensor([True, True, False])
    >>> features = StandardFeatures({"text": values}, {"text": present})
    >>> features.rows("text", torch.tensor([0, 1, 2])).round(decimals=4)
    tensor([[-1.],
            [ 1.],
            [ 0.]])
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
            # a column that never varies differs between items by rounding errors only
            varies = variance > 1e-8 * mean.square()
            self._means[modality] = mean
            self._scales[modality] = torch.where(varies, variance.rsqrt(), 0.0)

    def rows(self, modality: str, items: Tensor) -> Tensor:
        """[B, F] of `items` [B]."""
        values = (take_rows(self._features[modality], items) - self._means[modality]) * self._scales[modality]
        return torch.where(take_rows(self._present[modality], items).unsqueeze(1), values, 0.0)
