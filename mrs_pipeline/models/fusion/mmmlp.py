"""MMMLP. Liang et al., "MMMLP: Multi-modal Multilayer Perceptron for Sequential Recommendations", WWW 2023.

https://arxiv.org/abs/2302.10123

Equation: each stream (identifiers, each projected modality) x [K, D] goes n_layers times through one block of its
own, x += TokenMix(LayerNorm(x)), x += ChannelMix(LayerNorm(x)), both perceptrons of one hidden layer (GELU, four times
as wide), over the positions and over the channels; h = W LayerNorm([x_id ; x_1 ; ... ; x_M]); y_{t,j} = <h_t, v_j>;
loss = softmax cross-entropy of the next item.

Deviations: any number of modalities; token mixing is made causal (each position has four hidden units, which see it
and earlier ones only), so that every position can be trained at once, where the paper mixes all positions and trains
the last; padding is zero throughout; modalities enter as extracted features, the paper's branch from pixels is another
model's business. An item that lacks a modality has a learned vector of that modality in its place. The paper compares
states with identifiers; here a candidate is v_j = e_j + sum_m s_m, so that cold items, whose identifier is zero, are
ranked by their content. For the start token, histories longer than `max_length` and the sampled softmax see SASRec.

Complexity: O(B L M (K D + D^2) + I (F + B) D) a step for B positions in rows of K = max_length; memory O(B M D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.next_item import SequenceConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_EXPANSION = 4
"""Hidden units of a perceptron for each of its inputs."""


class MmmlpConfig(SequenceConfig):
    """Settings of MMMLP."""

    search_space: ClassVar[SearchSpace] = {**SequenceConfig.search_space, "n_layers": (1, 2, 4)}

    n_layers: int = Field(default=4, ge=1, le=16)
    """How often a stream goes through its block."""


class Mmmlp(SequenceRecommender[MmmlpConfig]):
    """Perceptrons over positions and channels, a stream a modality; see the module."""

    spec = ModelSpec(
        name="mmmlp",
        title="MMMLP",
        paper="Liang et al., WWW 2023",
        url="https://arxiv.org/abs/2302.10123",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(B L M (K D + D^2) + I (F + B) D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = MmmlpConfig

    def __init__(self, config: MmmlpConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.streams = nn.ModuleDict(
            {name: _Mixer(config.max_length, size, generator) for name in self.start}
        )
        self.norm = nn.LayerNorm(len(self.streams) * size, device=generator.device)
        self.output = linear(len(self.streams) * size, size, generator)

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """All streams mixed, concatenated and brought back to the embedding size."""
        scale = self.config.embedding_size**0.5
        mixed = []
        for name, mixer in self.streams.items():
            x = dropout(parts[name] * scale, self.rate, self.generator)
            for _ in range(self.config.n_layers):
                x = mixer(x, real.unsqueeze(-1), self.rate)
            mixed.append(x)
        states: Tensor = self.output(self.norm(torch.cat(mixed, dim=-1)))
        return states


class _Mixer(nn.Module):
    """One block of a stream: causal mixing of positions, then of channels."""

    def __init__(self, length: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        device = generator.device
        self._generator = generator
        self._causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        self.token_norm = nn.LayerNorm(size, device=device)
        self.token_inner = nn.Parameter(_triangles(length, generator))
        self.token_bias = nn.Parameter(torch.zeros(_EXPANSION, length, 1, device=device))
        self.token_outer = nn.Parameter(_triangles(length, generator))
        self.channel_norm = nn.LayerNorm(size, device=device)
        self.channel_inner = linear(size, _EXPANSION * size, generator)
        self.channel_outer = linear(_EXPANSION * size, size, generator)

    def forward(self, x: Tensor, real: Tensor, p: float) -> Tensor:
        """`x` [B, K, D] after the block; `real` [B, K, 1] is False at padding, which stays out of all sums."""
        x = x + dropout(self._tokens(self.token_norm(x) * real, real), p, self._generator)
        hidden = gelu(self.channel_inner(self.channel_norm(x)))
        return (x + dropout(self.channel_outer(hidden), p, self._generator)) * real

    def _tokens(self, x: Tensor, real: Tensor) -> Tensor:
        length = x.shape[1]
        causal = self._causal[-length:, -length:]
        inner, outer = (
            weights[:, -length:, -length:] * causal for weights in (self.token_inner, self.token_outer)
        )
        # [B, 4, K, D]: the hidden units of each position
        hidden = gelu(
            (inner.flatten(0, 1) @ x).view(len(x), _EXPANSION, length, -1) + self.token_bias[:, -length:]
        )
        hidden = (hidden * real.unsqueeze(1)).flatten(1, 2)
        return outer.transpose(0, 1).flatten(1) @ hidden


def _triangles(length: int, generator: torch.Generator) -> Tensor:
    """[4, K, K] weights from positions to positions for each of the hidden units of a position."""
    weights = torch.empty(_EXPANSION, length, length, device=generator.device)
    return nn.init.xavier_normal_(weights.flatten(0, 1), generator=generator).view_as(weights)
