"""NOVA. Liu et al., "Noninvasive Self-Attention for Side Information Fusion in Sequential Recommendation", AAAI 2021.

https://arxiv.org/abs/2103.03578

Equation: at every layer, r = F(h, s_1, ..., s_M, p) fuses the identifiers' stream h with the projected modalities
s_m = W_m x^m of each item and its position; queries and keys come from r, values from h alone:
h += softmax((r W_Q)(r W_K)' / sqrt(D)) (h W_V). F is a sum, a linear map of the concatenation, or a gated sum
sum_f sigmoid(f w) f. y_{t,j} = <h_t, v_j>; loss = softmax cross-entropy of the next item.

Deviations: there is no published code, so the layout of a block is SASRec's, trained on the next item at every
position, where the paper masks items as BERT4Rec does; side information is the modalities' vectors; an item that
lacks a modality has a learned vector of that modality in its place. The paper compares states with identifiers; here
a candidate is v_j = e_j + sum_m s_m, so that cold items, whose identifier is zero, are ranked by their content. For
the start token, histories longer than `max_length` and the sampled softmax see SASRec.

Complexity: O(B L (K D + M D^2) + I (F + B) D) a step for B positions in rows of K = max_length.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionSources, AttentionTrunk
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class NovaConfig(AttentionConfig):
    """Settings of NOVA."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "fusion": ("gate", "concat", "add"),
    }

    fusion: Literal["gate", "concat", "add"] = "gate"
    """How identifier, modalities and position become what queries and keys are made of."""


class Nova(SequenceRecommender[NovaConfig]):
    """Side information decides where to look, never what is passed on; see the module."""

    spec = ModelSpec(
        name="nova",
        title="NOVA",
        paper="Liu et al., AAAI 2021",
        url="https://arxiv.org/abs/2103.03578",
        cells=frozenset({Cell.COMBINED_ATTENTION}),
        complexity="O(B L (K D + M D^2) + I (F + B) D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = NovaConfig

    def __init__(self, config: NovaConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.positions = position_embedding(config.max_length, size, generator)
        self.fusions = nn.ModuleList(
            _Fusion(config.fusion, size, len(inputs.features) + 2, generator) for _ in range(config.n_layers)
        )
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """The stream of identifiers, attended to where the fused vectors say."""
        sides = [side for name, side in parts.items() if name != IDENTIFIER]
        sides.append(self.positions[-real.shape[1] :].expand_as(parts[IDENTIFIER]))
        sides = [dropout(side, self.rate, self.generator) for side in sides]
        x = dropout(parts[IDENTIFIER] * self.config.embedding_size**0.5, self.rate, self.generator)
        sources = [_fused(fusion, sides) for fusion in self.fusions]
        states: Tensor = self.trunk(x, sources, real, self.rate)
        return states


def _fused(fusion: nn.Module, sides: Sequence[Tensor]) -> AttentionSources:
    return lambda normed: [fusion(torch.stack([normed, *sides], dim=-2))]


class _Fusion(nn.Module):
    """F: the fused vector [B, K, D] of S parts [B, K, S, D]."""

    def __init__(self, kind: str, size: int, n_parts: int, generator: torch.Generator) -> None:
        super().__init__()
        self._kind = kind
        match kind:
            case "gate":
                self.weights = linear(size, 1, generator)
            case "concat":
                self.weights = linear(n_parts * size, size, generator)

    def forward(self, parts: Tensor) -> Tensor:
        match self._kind:
            case "gate":
                parts = self.weights(parts).sigmoid() * parts
            case "concat":
                fused: Tensor = self.weights(parts.flatten(-2))
                return fused
        return parts.sum(-2)
