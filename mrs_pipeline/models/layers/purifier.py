"""Gates made of content that let pass what agrees with behaviour (MGCN, GUME)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as affine

from mrs_pipeline.models.layers.parameters import linear


class Purifier(nn.Module):
    """Gates sigmoid(W' (W x + b) + b') that let pass what agrees with behaviour."""

    def __init__(self, width: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.project = linear(width, size, generator)
        self.gate = linear(size, size, generator)

    def forward(self, values: Tensor) -> Tensor:
        """[n, size] of features [n, width]."""
        # two linear maps in a row are one, and a product [D, D] x [D, F] is cheaper than one with I rows
        weight = self.gate.weight @ self.project.weight
        return torch.sigmoid(affine(values, weight, self.gate(self.project.bias)))
