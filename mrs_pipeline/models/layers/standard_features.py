"""Raw features with columns of mean 0 and deviation 1."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.rows import take_rows

_ROWS = 8192
"""Items whose standardised rows stand in memory at once."""


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

    def device(self, modality: str) -> torch.device:
        """Where the features of a modality are."""
        return self._features[modality].device

    def rows(self, modality: str, items: Tensor) -> Tensor:
        """[B, F] of `items` [B]."""
        values = (take_rows(self._features[modality], items) - self._means[modality]) * self._scales[modality]
        return torch.where(take_rows(self._present[modality], items).unsqueeze(1), values, 0.0)


def leading_components(features: StandardFeatures, modality: str, n_items: int, size: int) -> Tensor:
    """[I, size] the first principal components of a modality; zero where it is missing, or has fewer columns.

    Each component has the sign with which its largest entry is positive.
    """
    place = features.device(modality)
    blocks = torch.split(torch.arange(n_items, device=place), _ROWS)
    covariance = torch.zeros((), dtype=torch.float64, device=place)
    for block in blocks:
        rows = features.rows(modality, block).double()
        covariance = covariance + rows.T @ rows
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :size]
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    directions = (directions * largest.sign()).to(torch.get_default_dtype())
    found = torch.cat([features.rows(modality, block) @ directions for block in blocks])
    return torch.nn.functional.pad(found, (0, size - found.shape[1]))
