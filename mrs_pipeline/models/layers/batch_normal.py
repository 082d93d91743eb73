"""Batch normalisation that a batch of one row does not stop."""

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import mean_of

_MOMENTUM = 0.1
_STABILISER = 1e-5


class BatchNormal(nn.Module):
    """(x - mean) / deviation * weight + bias, over the batch in training, by running statistics in scoring."""

    mean: Tensor
    variance: Tensor

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size, device=generator.device))
        self.bias = nn.Parameter(torch.zeros(size, device=generator.device))
        self.register_buffer("mean", torch.zeros(size, device=generator.device))
        self.register_buffer("variance", torch.ones(size, device=generator.device))

    def forward(self, x: Tensor, counts: Tensor | None = None) -> Tensor:
        """[B, D]; one row alone is scaled by the running statistics.

        Args:
            x: [B, D].
            counts: [B] bool which rows the statistics are of; all if None, as where none only fills up (`distinct`).
        """
        x = x.to(self.mean.dtype)
        mean, variance = self.mean, self.variance
        if self.training:
            weights = torch.ones_like(x[:, 0]) if counts is None else counts.to(x.dtype)
            mean, variance = self._of_batch(x, weights)
        return (x - mean) * (variance + _STABILISER).rsqrt() * self.weight + self.bias

    def _of_batch(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [D] of the rows whose weight is one, which the running statistics follow."""
        mean = mean_of(x, weights)
        variance = mean_of((x - mean).square(), weights)
        n = weights.sum()
        alone = n < 2
        with torch.no_grad():
            for kept, found in ((self.mean, mean), (self.variance, variance * n / (n - 1).clamp(min=1))):
                kept.copy_(torch.where(alone, kept, kept.lerp(found, _MOMENTUM)))
        return torch.where(alone, self.mean, mean), torch.where(alone, self.variance, variance)
