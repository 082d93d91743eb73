"""Batch normalisation that a batch of one row does not stop."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

_MOMENTUM = 0.1
_SMALL = 1e-5


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

    def forward(self, x: Tensor) -> Tensor:
        """[B, D]; one row alone is scaled by the running statistics."""
        return batch_norm(
            x,
            self.mean,
            self.variance,
            self.weight,
            self.bias,
            training=self.training and len(x) > 1,
            momentum=_MOMENTUM,
            eps=_SMALL,
        )
