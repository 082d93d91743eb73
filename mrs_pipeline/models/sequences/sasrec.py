"""SASRec. Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.

https://arxiv.org/abs/1808.09781

Equation: x_t = sqrt(D) e_{i_t} + p_t; n_layers times x += Dropout(Attention(LayerNorm(x))), x +=
Dropout(FeedForward(LayerNorm(x))) with causal attention; h_t = LayerNorm(x_t); y_{t,j} = <h_t, e_j>; loss = softmax
cross-entropy of the next item at every position.

Deviations: the softmax over the catalogue (or a sample of it, see `n_negatives`) in place of one negative under
binary cross-entropy, whose overconfidence is known; histories longer than `max_length` are cut into subsequences
instead of losing their older part; a learned start token stands before each history, so that first items are
learned and a user without history has a state; positions count from the latest token; in the published code
queries alone are normalised, here queries, keys and values. The cold items' identifiers are zero: without content
they all score alike.

Complexity: O(B L (K D + D^2) + B I D) a step for B positions in rows of K = max_length.
"""

import torch
from torch import Tensor

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell


class SasRecConfig(AttentionConfig):
    """Settings of SASRec."""


class SasRec(SequenceRecommender[SasRecConfig]):
    """Causal self-attention over identifiers; see the module."""

    spec = ModelSpec(
        name="sasrec",
        title="SASRec",
        paper="Kang & McAuley, ICDM 2018",
        url="https://arxiv.org/abs/1808.09781",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(B L (K D + D^2) + B I D)",
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = SasRecConfig

    def __init__(self, config: SasRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Self-attention over identifiers and positions."""
        x = parts[IDENTIFIER] * self.config.embedding_size**0.5 + self.positions[-real.shape[1] :]
        x = dropout(x, self.rate, self.generator)
        states: Tensor = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        return states
