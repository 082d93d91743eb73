"""MARank. Yu et al., "Multi-order Attentive Ranking Model for Sequential Recommendation", AAAI 2019.

https://doi.org/10.1609/aaai.v33i01.33015709

Equation: after each token t of a history the user is u = mean of the vectors of all tokens up to t, and i ranges over
the parts (identifier and modalities) of the latest n_latest tokens. With u_0 = u, i_0 = i and, for depth l up to
n_layers, x_l = relu(W_l x_{l-1} + b_l + x_{l-1}) on both sides, attention gives c_l = sum_i a_i i_l, a = softmax_i
sigmoid(o' tanh(W_i i_l + W_u u_l + b)); c_0 has the latest token's vector added. A second attention of the same form
weighs c_0..c_L to g; y_{t,j} = <relu(W g + b) + g + u, v_j> with v_j the sum of an item's parts; loss = softmax
cross-entropy of the next item.

Deviations: the user is the mean of the history in place of a vector learned for each, so that anybody with a history
can be ranked for, and one table of items stands for the published two (items that are taken, items that are
compared). The softmax over the catalogue (or a sample of it) in place of BPR; the published network sees identifiers
alone, here tokens are an item's modalities too, as fusion by attention. An item that lacks a modality has a learned
vector of it. For the start token and histories longer than `max_length` see SASRec.

Complexity: O(B n M L D^2 + B I D) a step for B positions, n = n_latest; memory O(B n M L D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.next_item import SequenceConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MarankConfig(SequenceConfig):
    """Settings of MARank."""

    search_space: ClassVar[SearchSpace] = {**SequenceConfig.search_space, "n_latest": (3, 6, 9)}

    n_latest: int = Field(default=6, ge=1, le=100)
    """Latest tokens whose parts are attended to."""


class Marank(SequenceRecommender[MarankConfig]):
    """Attention to the latest items at several depths; see the module."""

    spec = ModelSpec(
        name="marank",
        title="MARank",
        paper="Yu et al., AAAI 2019",
        url="https://doi.org/10.1609/aaai.v33i01.33015709",
        cells=frozenset({Cell.COMBINED_ATTENTION}),
        complexity="O(B n M L D^2 + B I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = MarankConfig

    def __init__(self, config: MarankConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.user_layers = nn.ModuleList(linear(size, size, generator) for _ in range(config.n_layers))
        self.item_layers = nn.ModuleList(linear(size, size, generator) for _ in range(config.n_layers))
        self.attention = GuidedAttention(size, generator)
        self.order_attention = GuidedAttention(size, generator)
        self.output = linear(size, size, generator)

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """What the latest items say at all depths, and the mean of the history."""
        stacked = torch.stack(list(parts.values()), dim=2)  # [B, K, P, D]
        stacked = torch.where(real.unsqueeze(2).unsqueeze(3), stacked, 0)
        whole = stacked.sum(2)
        user = whole.cumsum(1) / real.cumsum(1).clamp(min=1).unsqueeze(2)
        items, there = self._latest(dropout(stacked, self.rate, self.generator), real)
        guide, orders = user, []
        for depth in range(self.config.n_layers + 1):
            if depth:
                guide = (self.user_layers[depth - 1](guide) + guide).relu()
                items = (self.item_layers[depth - 1](items) + items).relu()
            orders.append(self.attention(items, guide, there))
        orders[0] = orders[0] + whole
        found = torch.stack(orders, dim=2)
        every = torch.ones_like(found[..., 0], dtype=torch.bool)
        mixed = self.order_attention(found, user, every)
        states: Tensor = self.output(mixed).relu() + mixed + user
        return states

    def _latest(self, parts: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Parts [B, K, n P, D] of the latest tokens at each position, and which there are [B, K, n P]."""
        n = self.config.n_latest
        width = parts.shape[2]
        windows = pad(parts, (0, 0, 0, 0, n - 1, 0)).unfold(1, n, 1)  # [B, K, P, D, n]
        there = pad(real, (n - 1, 0)).unfold(1, n, 1)
        return windows.permute(0, 1, 4, 2, 3).flatten(2, 3), there.repeat_interleave(width, dim=2)


class GuidedAttention(nn.Module):
    """sum_i a_i x_i with a = softmax_i sigmoid(o' tanh(W_i x_i + W_u u + b))."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.of_rows = linear(size, size, generator, bias=False)
        self.of_guide = linear(size, size, generator)
        self.weight = linear(size, 1, generator, bias=False)

    def forward(self, rows: Tensor, guide: Tensor, there: Tensor) -> Tensor:
        """[..., D] of rows [..., n, D], a guide [..., D] and which rows count [..., n]."""
        hidden = torch.tanh(self.of_rows(rows) + self.of_guide(guide).unsqueeze(-2))
        shares = masked_softmax(torch.sigmoid(self.weight(hidden)).squeeze(-1), there)
        return (shares.unsqueeze(-2) @ rows).squeeze(-2)
