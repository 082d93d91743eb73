"""Causal self-attention over a sequence, with queries and keys from other sources than values where a model wants.

Kang & McAuley's block (ICDM 2018): x + Dropout(f(LayerNorm(x))) around attention, then around a feed-forward part.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.layers.parameters import linear

AttentionSources = Callable[[Tensor], Sequence[Tensor]]
"""From a block's normed input [B, K, D] to what queries and keys are made of."""


def itself(x: Tensor) -> list[Tensor]:
    """The sources of ordinary self-attention."""
    return [x]


def causal_mask(real: Tensor) -> Tensor:
    """[B, 1, K, K] bool: which token (column) each position (row) may look at; `real` [B, K] is False at padding.

    Only earlier real tokens and itself; padding looks at itself, so that no row of the softmax is empty.

    >>> causal_mask(torch.tensor([[False, True, True]]))[0, 0].int()
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    length = real.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    own = torch.eye(length, dtype=torch.bool, device=real.device)
    return ((earlier & real.unsqueeze(1)) | own).unsqueeze(1)


class DecoupledAttention(nn.Module):
    """softmax(sum_s (x_s Q_s)(x_s K_s)' / sqrt(d)) (v V), sources x_s [B, K, D] and values v [B, K, D].

    One source that equals the values is ordinary self-attention; a fused source, NOVA's; several, DIF-SR's. The
    sum of products is one product of concatenated heads.
    """

    def __init__(self, size: int, n_sources: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self._n_heads, self._generator = n_heads, generator
        self._scale = 1 / math.sqrt(size // n_heads)
        self.queries = nn.ModuleList(linear(size, size, generator) for _ in range(n_sources))
        # a bias of the keys adds the same to a whole row of the softmax and would never get a gradient
        self.keys = nn.ModuleList(linear(size, size, generator, bias=False) for _ in range(n_sources))
        self.values = linear(size, size, generator)
        self.output = linear(size, size, generator)

    def forward(self, sources: Sequence[Tensor], values: Tensor, mask: Tensor, p: float) -> Tensor:
        """[B, K, D]; `mask` as of `causal_mask`, `p` the share of attention weights dropped."""
        queries = torch.cat([self._heads(q(x)) for q, x in zip(self.queries, sources, strict=True)], dim=-1)
        keys = torch.cat([self._heads(k(x)) for k, x in zip(self.keys, sources, strict=True)], dim=-1)
        scores = (queries @ keys.mT) * self._scale
        weights = dropout(scores.masked_fill(~mask, -torch.inf).softmax(-1), p, self._generator)
        mixed = (weights @ self._heads(self.values(values))).transpose(1, 2).flatten(2)
        return self.output(mixed)  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        """[B, K, D] -> [B, H, K, D / H]."""
        return x.view(*x.shape[:2], self._n_heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between them, at each position alone."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner, self.outer = linear(size, size, generator), linear(size, size, generator)

    def forward(self, x: Tensor) -> Tensor:
        """[B, K, D] -> [B, K, D]."""
        return self.outer(self.inner(x).relu())  # type: ignore[no-any-return]


class AttentionBlock(nn.Module):
    """Attention and feed-forward part, each behind a LayerNorm and beside a shortcut."""

    def __init__(self, size: int, n_sources: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size, device=generator.device)
        self.attention = DecoupledAttention(size, n_sources, n_heads, generator)
        self.feed_norm = nn.LayerNorm(size, device=generator.device)
        self.feed = FeedForward(size, generator)
        self._generator = generator

    def forward(self, x: Tensor, sources: AttentionSources, mask: Tensor, p: float) -> Tensor:
        """`x` [B, K, D] after one block."""
        normed = self.attention_norm(x)
        x = x + dropout(self.attention(sources(normed), normed, mask, p), p, self._generator)
        return x + dropout(self.feed(self.feed_norm(x)), p, self._generator)


class AttentionTrunk(nn.Module):
    """Blocks one after the other and a last LayerNorm."""

    def __init__(
        self, size: int, n_layers: int, n_heads: int, generator: torch.Generator, *, n_sources: int = 1
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            AttentionBlock(size, n_sources, n_heads, generator) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(size, device=generator.device)

    def forward(self, x: Tensor, sources: Sequence[AttentionSources], real: Tensor, p: float) -> Tensor:
        """States [B, K, D] of `x` [B, K, D]; the sources of each block; `real` [B, K] is False at padding."""
        mask = causal_mask(real)
        for block, own in zip(self.blocks, sources, strict=True):
            x = block(x, own, mask, p)
        return self.norm(x)  # type: ignore[no-any-return]
