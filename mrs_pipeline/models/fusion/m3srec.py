"""M3SRec-style. After Bian et al., "Multi-modal Mixture of Experts Representation Learning ...", CIKM 2023.

In full: "Multi-modal Mixture of Experts Representation Learning for Sequential Recommendation".
https://doi.org/10.1145/3583780.3614978

Equation: x = sqrt(D) sum_c v^c + p over the identifier and the modalities, v^c = e_i or W_m x_i^m + b_m. In each
block attention as in SASRec; then x += sum_e g_e F_e, g = softmax(LN(x) G): an expert of each c, F_c(LN(x) + v^c),
and `n_shared` that see LN(x) alone, each linear, ReLU, linear. h = LN(x); y_j = <h, sum_c v_j^c>; loss = softmax
cross-entropy of the next item at every position + balance_weight * experts * sum_e (mean g_e)^2.

Deviations: a guess. No code was published; from the paper's abstract come a mixture of experts that fuses modalities
inside the sequence encoder, experts of modalities and shared ones, and training that matches a context with its
target. How an expert is told of its modality, the gate, and the term that keeps experts in use are ours. Its
pre-training on other domains is left out: the contrast of context and target is the next-item loss. An item that
lacks a modality has a learned vector in its place.

Complexity: O(B L (K D + X D^2) + I (F + B) D) a step for B positions, X experts.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import DecoupledAttention, causal_mask
from mrs_pipeline.models.layers.experts import GatedExperts
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class M3SRecConfig(AttentionConfig):
    """Settings of M3SRec-style."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "n_shared": (0, 1, 2),
        "balance_weight": (0.0, 0.01, 0.1),
    }

    n_shared: int = Field(default=1, ge=0, le=64)
    """Experts that belong to no modality."""
    balance_weight: float = Field(default=0.01, ge=0)
    """Weight of the term that keeps all experts in use."""


class M3SRec(SequenceRecommender[M3SRecConfig]):
    """Experts of modalities and shared ones inside a sequence encoder; see the module."""

    spec = ModelSpec(
        name="m3srec",
        title="M3SRec-style",
        paper="after Bian et al., CIKM 2023",
        url="https://doi.org/10.1145/3583780.3614978",
        cells=frozenset({Cell.OTHER_FUSION}),
        complexity="O(B L (K D + X D^2) + I (F + B) D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = M3SRecConfig

    def __init__(self, config: M3SRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size, names = config.embedding_size, (IDENTIFIER, *inputs.features)
        self.positions = position_embedding(config.max_length, size, generator)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "attention_norm": nn.LayerNorm(size, device=generator.device),
                    "attention": DecoupledAttention(size, 1, config.n_heads, generator),
                    "experts_norm": nn.LayerNorm(size, device=generator.device),
                    "experts": GatedExperts(names, config.n_shared, size, generator),
                }
            )
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(size, device=generator.device)
        self._balances: list[Tensor] = []

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Blocks of attention and experts."""
        x = torch.stack(list(parts.values())).sum(0) * self.config.embedding_size**0.5
        x = dropout(x + self.positions[-real.shape[1] :], self.rate, self.generator)
        mask = causal_mask(real)
        self._balances = []
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            normed = block["attention_norm"](x)
            told = block["attention"]([normed], normed, mask, self.rate)
            x = x + dropout(told, self.rate, self.generator)
            mixed, shares = block["experts"](block["experts_norm"](x), parts)
            x = x + dropout(mixed, self.rate, self.generator)
            if self.training:
                self._balances.append(shares[real].mean(0).square().sum() * shares.shape[-1])
        states: Tensor = self.norm(x)
        return states

    def further_terms(self, states: Tensor, wanted: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """How unevenly the experts of the blocks are used, one at the least."""
        if not self._balances:
            return {}
        return {"balance": self.config.balance_weight * torch.stack(self._balances).mean()}
