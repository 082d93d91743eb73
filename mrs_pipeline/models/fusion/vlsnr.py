"""VLSNR-style. Han et al., "VLSNR: Vision-Linguistics Coordination Time Sequence-aware News Recommendation", 2022.

https://arxiv.org/abs/2210.02946

Equation: an item is n_i = e_i + W [h_1; ..; h_M; h_1 * .. * h_M] + b of its projected modalities h_m (* entry by
entry). The clicks n_i + p of a history go through n_layers blocks of causal self-attention, then through a gated
recurrent unit, h_t = (1 - z_t) * c_t + z_t * h_{t-1}; the user after click t is u_t = sum_{k<=t} a_tk h_k with a_t =
softmax_k <W_a h_t, h_k> / sqrt(D); y_{t,j} = <u_t, n_j>; loss = softmax cross-entropy of the next item.

What is a guess: the paper exists as text alone, its repository holds data. It says that a pretrained encoder of both
kinds of content (CLIP) puts title and picture in one space, that clicks in the order of time attend to one another,
and that an attentional recurrent unit makes the user of them; how the modalities are joined, that attention is guided
by the latest state and not by the candidate (so that scores are products), and all widths are our own. Deviation from
a news model: items have identifiers too, zero where nobody has taken them. An item that lacks a modality has a
learned vector of it. For the start token and histories longer than `max_length` see SASRec.

Complexity: O(B (L (K D + D^2) + K D) + I M D^2 + B I D) a step for B positions in rows of K = max_length.
"""

import math

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, causal_mask, itself
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import CONTENT, IDENTIFIER, Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class VlsnrConfig(AttentionConfig):
    """Settings of VLSNR-style."""


class Vlsnr(SequenceRecommender[VlsnrConfig]):
    """Joined content, self-attention and an attentional recurrent unit; see the module."""

    spec = ModelSpec(
        name="vlsnr",
        title="VLSNR-style",
        paper="Han et al., 2022",
        url="https://arxiv.org/abs/2210.02946",
        cells=frozenset({Cell.COMBINED_ATTENTION}),
        complexity="O(B (L (K D + D^2) + K D) + I M D^2 + B I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = VlsnrConfig

    def __init__(self, config: VlsnrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.make_start([IDENTIFIER, CONTENT], size)
        self.joined = linear((len(inputs.features) + 1) * size, size, generator)
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)
        self.unit = RecurrentUnit(size, generator)
        self.attention = linear(size, size, generator, bias=False)

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier and joined content [n, D] of `items` [n] int64, or of all."""
        assert self.projection is not None, "the spec asks for features"
        identifiers = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        views = torch.stack(list(self.projection(items).values()))
        content = self.joined(torch.cat([*views, views.prod(0)], dim=1))
        return {IDENTIFIER: identifiers, CONTENT: content}

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Clicks that attend to one another, one after the other, weighed by the latest."""
        x = torch.stack(list(parts.values())).sum(0) + self.positions[-real.shape[1] :]
        x = dropout(x, self.rate, self.generator)
        x = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        hidden = self.unit(x, real)
        scores = self.attention(hidden) @ hidden.mT / math.sqrt(self.config.embedding_size)
        users: Tensor = masked_softmax(scores, causal_mask(real).squeeze(1)) @ hidden
        return users


class RecurrentUnit(nn.Module):
    """A gated recurrent unit (Cho et al., EMNLP 2014) over rows padded on the left, whose state starts at zero."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.of_input = linear(size, 3 * size, generator)
        self.of_state = linear(size, 3 * size, generator)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """States [B, K, D] after each of x [B, K, D]; zero at padding, where `real` [B, K] is False."""
        inputs = self.of_input(x)
        state = torch.zeros_like(x[:, 0])
        states = []
        for place in range(x.shape[1]):
            reset, update, candidate = inputs[:, place].chunk(3, dim=1)
            of_reset, of_update, of_candidate = self.of_state(state).chunk(3, dim=1)
            update = torch.sigmoid(update + of_update)
            candidate = torch.tanh(candidate + torch.sigmoid(reset + of_reset) * of_candidate)
            state = torch.where(real[:, place, None], (1 - update) * candidate + update * state, state)
            states.append(state)
        return torch.stack(states, dim=1)
