"""Sets of tokens that attend to one another: cross-attention by heads, and the blocks around it."""

import math

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.models.layers.parameters import linear


class CrossAttention(nn.Module):
    """softmax((x Q)(y K)' / sqrt(d)) (y V) O by heads of width d; y may be another set of tokens."""

    def __init__(self, size: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self._n_heads, self._scale = n_heads, 1 / math.sqrt(size // n_heads)
        self.query, self.value, self.output = (linear(size, size, generator) for _ in range(3))
        self.key = linear(size, size, generator, bias=False)

    def forward(self, x: Tensor, y: Tensor, there: Tensor | None = None) -> Tensor:
        """[n, T, D] from x [n, T, D] and y [n, S, D], of which those count that are `there` [n, S]; all if None."""
        query, key, value = (
            rows.unflatten(2, (self._n_heads, -1)).transpose(1, 2)
            for rows in (self.query(x), self.key(y), self.value(y))
        )
        scores = query @ key.mT * self._scale
        shares = scores.softmax(-1) if there is None else masked_softmax(scores, there[:, None, None, :])
        told: Tensor = self.output((shares @ value).transpose(1, 2).flatten(2))
        return told


class NormedFeed(nn.Module):
    """LN(FFN(x) + x)."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner, self.outer = linear(size, 4 * size, generator), linear(4 * size, size, generator)
        self.norm = nn.LayerNorm(size, device=generator.device)

    def forward(self, x: Tensor) -> Tensor:
        """[n, T, D]."""
        fed: Tensor = self.norm(self.outer(self.inner(x).relu()) + x)
        return fed


class AttendAndFeed(nn.Module):
    """LN(FFN(z) + z) of z = LN(x + attention of x to y), a transformer's block where y is x."""

    def __init__(self, size: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.attention = CrossAttention(size, n_heads, generator)
        self.norm = nn.LayerNorm(size, device=generator.device)
        self.feed = NormedFeed(size, generator)

    def forward(self, x: Tensor, y: Tensor | None = None, there: Tensor | None = None) -> Tensor:
        """[n, T, D] of x [n, T, D], y [n, S, D] and which of y count [n, S]."""
        fed: Tensor = self.feed(self.norm(x + self.attention(x, x if y is None else y, there)))
        return fed
