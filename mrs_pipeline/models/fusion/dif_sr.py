"""DIF-SR. Xie et al., "Decoupled Side Information Fusion for Sequential Recommendation", SIGIR 2022.

https://arxiv.org/abs/2204.11046

Equation: at every layer the attention scores of identifiers, of each modality and of positions are made apart, added
up, and weigh the identifiers' values alone: h += softmax((h Q_0)(h K_0)'/sqrt(D) + sum_m (s_m Q_m)(s_m K_m)'/sqrt(D)
+ (p Q_p)(p K_p)'/sqrt(D)) (h V), s_m = W_m x^m. y_{t,j} = <h_t, v_j>; loss = softmax cross-entropy of the next item +
attribute_weight * mean_m (1 - cos(A_m h_t, x^m of the next item)).

Deviations: the paper predicts the next item's categorical attributes with binary cross-entropy; a modality's vector
has no categories, so its direction is predicted, for next items that have the modality; blocks normalise before, not
after, as SASRec's do; an item that lacks a modality has a learned vector of that modality in its place. The paper
compares states with identifiers; here a candidate is v_j = e_j + sum_m s_m, so that cold items, whose identifier is
zero, are ranked by their content. For the start token, histories longer than `max_length` and the sampled softmax see
SASRec.

Complexity: O(B L M (K D + D^2) + I (F + B) D + B F D) a step for B positions in rows of K = max_length.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk
from mrs_pipeline.models.layers.histories import position_embedding
from mrs_pipeline.models.layers.next_item import AttentionConfig, SequenceRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.parts import IDENTIFIER, Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class DifSrConfig(AttentionConfig):
    """Settings of DIF-SR."""

    search_space: ClassVar[SearchSpace] = {
        **AttentionConfig.search_space,
        "attribute_weight": (0.0, 0.1, 1.0),
    }

    attribute_weight: float = Field(default=0.1, ge=0)
    """Weight of predicting the next item's features."""


class DifSr(SequenceRecommender[DifSrConfig]):
    """Decoupled attention scores over identifiers, modalities and positions; see the module."""

    spec = ModelSpec(
        name="dif_sr",
        title="DIF-SR",
        paper="Xie et al., SIGIR 2022",
        url="https://arxiv.org/abs/2204.11046",
        cells=frozenset({Cell.COMBINED_ATTENTION}),
        complexity="O(B L M (K D + D^2) + I (F + B) D + B F D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.SEQUENCES,
        histories=True,
    )
    Config = DifSrConfig

    def __init__(self, config: DifSrConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._features, self._present = inputs.features, inputs.present
        self.positions = position_embedding(config.max_length, size, generator)
        n_sources = len(inputs.features) + 2
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator, n_sources=n_sources)
        self.attributes = nn.ModuleDict()
        if config.attribute_weight > 0:
            seen = inputs.items_seen()
            for modality, values in inputs.features.items():
                if bool((inputs.present[modality] & seen).any()):
                    self.attributes[modality] = linear(size, values.shape[1], generator)

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """The stream of identifiers under the sum of all attention scores."""
        sides = [side for name, side in parts.items() if name != IDENTIFIER]
        sides.append(self.positions[-real.shape[1] :].expand_as(parts[IDENTIFIER]))
        sides = [dropout(side, self.rate, self.generator) for side in sides]
        x = dropout(parts[IDENTIFIER] * self.config.embedding_size**0.5, self.rate, self.generator)
        sources = [lambda normed: [normed, *sides]] * self.config.n_layers
        states: Tensor = self.trunk(x, sources, real, self.rate)
        return states

    def further_terms(self, states: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """How far the predicted directions of the next item's features are off."""
        if not self.attributes:
            return {}
        terms = []
        for modality, head in self.attributes.items():
            present = take_rows(self._present[modality], wanted)
            truth = take_rows(self._features[modality], wanted)
            off = (1 - cosine_similarity(head(states), truth, dim=1)) * present
            terms.append(off.sum() / present.sum().clamp(min=1))
        return {"attributes": self.config.attribute_weight * torch.stack(terms).mean()}
