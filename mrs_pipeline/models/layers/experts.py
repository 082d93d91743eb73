"""A mixture of experts, some of which belong to one modality."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import Parts


class GatedExperts(nn.Module):
    """sum_e g_e F_e with g = softmax(x G): F_c(x + v^c) for each part c, F(x) for each shared expert."""

    def __init__(self, parts: Sequence[str], n_shared: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self._parts = tuple(parts)
        n = len(self._parts) + n_shared
        self.inner = nn.ModuleList(linear(size, size, generator) for _ in range(n))
        self.outer = nn.ModuleList(linear(size, size, generator) for _ in range(n))
        self.gate = linear(size, n, generator, bias=False)

    def forward(self, x: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
        """The mixture [..., D] and its shares [..., experts] of x [..., D] and the parts beside it."""
        shares: Tensor = self.gate(x).softmax(-1)
        inputs = [x + parts[name] for name in self._parts]
        inputs += [x] * (len(self.inner) - len(inputs))
        told = [
            outer(inner(each).relu())
            for inner, outer, each in zip(self.inner, self.outer, inputs, strict=True)
        ]
        return (torch.stack(told, dim=-2) * shares.unsqueeze(-1)).sum(-2), shares
