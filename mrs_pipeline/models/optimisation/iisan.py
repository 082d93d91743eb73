"""IISAN. Fu et al., SIGIR 2024.

"IISAN: Efficiently Adapting Multimodal Representation for Sequential Recommendation with Decoupled PEFT",
https://arxiv.org/abs/2404.02059

Equation: h_l^m is the state of an item after layer l of the frozen encoder of modality m. Beside each encoder, with
A(x) = x + W_up relu(W_down x) + b and s_0 = 0, goes a network of its own, s_l^m = A_l^m(g h_l^m + (1 - g) s_{l-1}^m),
g = sigmoid(q_l^m / 0.1), and one between them, c_l = A_l(c_{l-1} + sum_m f_m h_l^m), f = softmax_m(r_l / 0.1). An
item is v = W [s^1; ..; s^M; c]; h = SASRec(v of the history); y_{t,j} = <h_t, v_j>; loss = cross-entropy of the next
item at every position among the batch's items, scores less log popularity, without what the user has taken.

Deviations: any number of modalities (for two, softmax of r is the published gate); what an item lacks has no share,
and an item without any content has the zero vector. States are brought to the width D of the side networks by a
linear map each, where the published ones are as wide as the encoders; they are means over places and words, not class
tokens, and those of `side_layers` layers, evenly spread. Encoders are those of the raw content, or small ones that
were drawn and stay so. Their states are computed once, and no gradient goes through them: a step costs what it would
with extracted features. There are no identifiers of items.

Complexity: O(n S M D (C + a) + B L (K D + D^2) + B n D) a step for the n distinct items of B positions, S side layers
of width C, adapters of width a; memory O(I S C M) for the states of all items.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.attention import masked_softmax
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_sequences import ContentSequenceRecommender
from mrs_pipeline.models.layers.frozen_layers import FrozenLayers
from mrs_pipeline.models.layers.histories import HeadsConfig
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import CONTENT
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_GATE_TEMPERATURE = 0.1


class IisanConfig(HeadsConfig):
    """Settings of IISAN."""

    search_space: ClassVar[SearchSpace] = {"side_layers": (3, 6), "adapter_size": (16, 64)}

    side_layers: int = Field(default=6, ge=1, le=100)
    """Layers of the encoders that are listened to, at the most; of each as many as the shortest has."""
    adapter_size: int = Field(default=64, ge=1, le=4096)
    """Width a of an adapter's hidden layer."""
    encoder_width: int = Field(default=64, ge=8, le=2048)
    """Width of an encoder that is drawn; pretrained ones have their own."""
    items_at_once: int = Field(default=256, ge=1, le=65_536)
    """Items that are encoded together."""


class Iisan(ContentSequenceRecommender[IisanConfig]):
    """Side networks beside frozen encoders, and self-attention over what they say; see the module."""

    spec = ModelSpec(
        name="iisan",
        title="IISAN",
        paper="Fu et al., SIGIR 2024",
        url="https://arxiv.org/abs/2404.02059",
        cells=frozenset({Cell.END_TO_END}),
        complexity="O(n S M D (C + a) + B L (K D + D^2) + B n D)",
        batches=BatchKind.SEQUENCES,
        histories=True,
        raw=FeatureUse.REQUIRED,
    )
    Config = IisanConfig

    def __init__(self, config: IisanConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, hidden = config.embedding_size, config.adapter_size
        self.frozen = FrozenLayers(
            inputs, config.encoder_width, config.side_layers, config.items_at_once, generator
        )
        names, count = list(inputs.raw), self.frozen.count
        self.narrowed, self.own = nn.ModuleDict(), nn.ModuleDict()
        self.gates = nn.ParameterDict()
        for name in names:
            self.narrowed[name] = nn.ModuleList(linear(w, size, generator) for w in self.frozen.widths[name])
            self.own[name] = nn.ModuleList(Adapter(size, hidden, generator) for _ in range(count))
            self.gates[name] = nn.Parameter(torch.zeros(count, device=generator.device))
        self.between = nn.ModuleList(Adapter(size, hidden, generator) for _ in range(count))
        self.mixture: nn.Parameter | None = None
        if len(names) > 1:
            self.mixture = nn.Parameter(torch.zeros(count, len(names), device=generator.device))
        self.output = linear((len(names) + 1) * size, size, generator)

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """What the side networks make [n, D] of `items` [n] int64, or of all."""
        rows = torch.arange(self.n_items, device=self.device) if items is None else items
        states, present = [], []
        for name, maps in self.narrowed.items():
            assert isinstance(maps, nn.ModuleList)
            found, there = self.frozen.rows(name, rows)
            states.append(torch.stack([each(state) for each, state in zip(maps, found, strict=True)]))
            present.append(there)
        having = torch.stack(present, dim=1)
        ends = [
            self._beside(name, own) * there.unsqueeze(1)
            for name, own, there in zip(self.own, states, present, strict=True)
        ]
        joined = self.output(torch.cat([*ends, self._between(torch.stack(states, dim=2), having)], dim=1))
        return {CONTENT: joined * having.any(1, keepdim=True)}

    def _beside(self, modality: str, states: Tensor) -> Tensor:
        """[n, D] of one modality's states [S, n, D]."""
        adapters = self.own[modality]
        assert isinstance(adapters, nn.ModuleList)
        kept = torch.zeros_like(states[0])
        for adapter, gate, state in zip(adapters, self.gates[modality], states, strict=True):
            share = torch.sigmoid(gate / _GATE_TEMPERATURE)
            kept = adapter(share * state + (1 - share) * kept)
        return kept

    def _between(self, states: Tensor, having: Tensor) -> Tensor:
        """[n, D] of all states [S, n, M, D], among the modalities that an item has [n, M]."""
        kept = torch.zeros_like(states[0, :, 0])
        for place, (adapter, state) in enumerate(zip(self.between, states, strict=True)):
            logits = torch.zeros_like(having[0], dtype=states.dtype)
            if self.mixture is not None:
                logits = self.mixture[place] / _GATE_TEMPERATURE
            shares = masked_softmax(logits.expand(len(having), -1), having)
            kept = adapter(kept + (shares.unsqueeze(1) @ state).squeeze(1))
        return kept


class Adapter(nn.Module):
    """x + W_up relu(W_down x + b) + b."""

    def __init__(self, size: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down, self.up = linear(size, hidden, generator), linear(hidden, size, generator)

    def forward(self, x: Tensor) -> Tensor:
        """[n, D]."""
        return x + self.up(self.down(x).relu())  # type: ignore[no-any-return]
