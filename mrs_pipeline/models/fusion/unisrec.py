"""UniSRec, without pre-training. Hou et al., KDD 2022.

"Towards Universal Sequence Representation Learning for Recommender Systems", https://arxiv.org/abs/2206.05941

Equation: a modality's features x (of length one) are adapted by a mixture of experts, v^m = sum_e g_e W_e (x - b_e)
with g = softmax(x G + noise), noise = n * (softplus(x N) + 0.01) with n normal in training and none after; an item is
v = e + sum_m v^m; h = SASRec(v of the history + positions); y_{t,j} = cos(h_t, v_j) / temperature; loss = softmax
cross-entropy of the next item.

Deviations: trained on one dataset from the start: the published first step, contrastive learning over many domains at
once, needs other datasets, so that this is its "transductive" recommender alone (with `identifiers: false` the
"inductive" one, which ranks cold items like all others). Any number of modalities, each with experts of its own; one
that an item lacks adds nothing. Blocks as in SASRec here, which normalises before and not after. For the start token,
histories longer than `max_length` and the sampled softmax see SASRec.

Complexity: O(B L (K D + D^2) + I M E F D + B I D) a step for B positions in rows of K = max_length and E experts.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.layers.projection import with_unit_features
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_LEAST_NOISE = 0.01


class UnisrecConfig(AttentionConfig):
    """Settings of UniSRec."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "n_experts": (4, 8),
        "temperature": (0.05, 0.07, 0.2),
    }

    n_experts: int = Field(default=8, ge=1, le=64)
    """Experts E of a modality."""
    temperature: float = Field(default=0.07, gt=0, le=10)
    """Divides the cosines."""
    identifiers: bool = True
    """Whether an item has a learned vector of its own beside its content."""


class Unisrec(SequenceRecommender[UnisrecConfig]):
    """Content adapted by experts, and self-attention over it; see the module."""

    spec = ModelSpec(
        name="unisrec",
        title="UniSRec (no pre-training)",
        paper="Hou et al., KDD 2022",
        url="https://arxiv.org/abs/2206.05941",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(B L (K D + D^2) + I M E F D + B I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = UnisrecConfig

    def __init__(self, config: UnisrecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        if not config.identifiers:
            del self.item_embedding
        self.projection = None
        self._features, self._present = with_unit_features(inputs).features, inputs.present
        self.adapters = nn.ModuleDict(
            {
                name: ExpertAdapter(rows.shape[1], size, config.n_experts, generator)
                for name, rows in inputs.features.items()
            }
        )
        self.make_start([*([IDENTIFIER] if config.identifiers else []), *self.adapters], size)
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier and adapted modalities [n, D] of `items` [n] int64, or of all; zero where one is absent."""
        rows = torch.arange(self.n_items, device=self.device) if items is None else items
        parts = {IDENTIFIER: take_rows(self.item_embedding, rows)} if self.config.identifiers else {}
        for name, adapter in self.adapters.items():
            assert isinstance(adapter, ExpertAdapter)
            adapted = adapter(take_rows(self._features[name], rows), self.rate, noisy=self.training)
            parts[name] = adapted * take_rows(self._present[name], rows).unsqueeze(1)
        return parts

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Directions over the temperature, so that products with unit vectors are the scores."""
        x = torch.stack(list(parts.values())).sum(0) + self.positions[-real.shape[1] :]
        x = dropout(x, self.rate, self.generator)
        found = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        return normalize(found, dim=-1) / self.config.temperature

    def candidate_vectors(self, parts: Parts) -> Tensor:
        """[n, D] of length one."""
        return normalize(torch.stack(list(parts.values())).sum(0), dim=1)

    def item_paths(self) -> dict[str, Tensor]:
        """The parts, over the length of their sum."""
        parts = self.item_parts()
        length = torch.stack(list(parts.values())).sum(0).norm(dim=1, keepdim=True).clamp(min=1e-12)
        return {name: rows / length for name, rows in parts.items()}


class ExpertAdapter(nn.Module):
    """sum_e g_e W_e (x - b_e), g = softmax(x G + noise)."""

    def __init__(self, inputs: int, outputs: int, n_experts: int, generator: torch.Generator) -> None:
        super().__init__()
        self.experts = nn.ModuleList(linear(inputs, outputs, generator, bias=False) for _ in range(n_experts))
        self.centres = nn.Parameter(torch.zeros(n_experts, inputs, device=generator.device))
        self.gate = nn.Parameter(torch.zeros(inputs, n_experts, device=generator.device))
        self.noise = nn.Parameter(torch.zeros(inputs, n_experts, device=generator.device))
        self._generator = generator

    def forward(self, x: Tensor, p: float, *, noisy: bool) -> Tensor:
        """[n, outputs] of x [n, inputs]; `p` the share of inputs dropped before the experts."""
        logits = x @ self.gate
        if noisy:
            drawn = torch.randn(logits.shape, generator=self._generator, device=x.device, dtype=x.dtype)
            logits = logits + drawn * (softplus(x @ self.noise) + _LEAST_NOISE)
        shares = logits.softmax(1)
        kept = dropout(x, p, self._generator)
        told = [
            expert(kept - centre) * share.unsqueeze(1)
            for expert, centre, share in zip(self.experts, self.centres, shares.T, strict=True)
        ]
        return torch.stack(told).sum(0)
