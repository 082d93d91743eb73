"""Sequence models over identifiers and extracted features: vectors of items and the next-item loss.

What all models of histories share is in `histories`.
"""

from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.functional.softmax import full_softmax, sampled_softmax
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.histories import HeadsConfig, HistoryConfig, HistoryRecommender
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.layers.parts import IDENTIFIER
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse

_WHOLE_CATALOGUE = 20_000
"""Items up to which the softmax is over the whole catalogue where the settings leave it open."""
_SAMPLE = 1024
"""Negatives above that."""


class SequenceConfig(HistoryConfig):
    """Settings of sequence models over identifiers and features."""

    n_negatives: int | None = Field(default=None, ge=0, le=100_000)
    """Items of the sampled softmax, drawn again at each step and shared by the batch; 0 for the softmax over the whole
    catalogue. Left open, it is the whole catalogue up to 20,000 items and 1,024 negatives beyond."""


class AttentionConfig(HeadsConfig, SequenceConfig):
    """Settings of sequence models over identifiers and features with attention."""


SequenceT_co = TypeVar("SequenceT_co", bound=SequenceConfig, covariant=True)


class SequenceRecommender(HistoryRecommender[SequenceT_co]):
    """Predicts the next item at every position. A subclass turns parts of tokens into states."""

    def __init__(self, config: SequenceT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._candidates = torch.nonzero(inputs.items_seen()).squeeze(1)
        sampled = config.n_negatives
        if sampled is None:
            sampled = 0 if len(self._candidates) <= _WHOLE_CATALOGUE else _SAMPLE
        self._n_negatives = sampled
        size = config.embedding_size
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.projection: ModalityProjection | None = None
        if self.spec.features is not FeatureUse.IGNORED:
            self.projection = ModalityProjection(inputs, size, generator)
        self.make_start([IDENTIFIER, *(inputs.features if self.projection else ())], size)

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Cross-entropy of the next item at every position."""
        tokens, targets = self.within_length(batch)
        asked = self.asked(targets, batch)
        wanted = take_rows(targets.flatten(), asked)
        negatives = self._draw_negatives()
        items = self._items_of_step(tokens, wanted, negatives)
        parts = self.item_parts(items)
        states = self.states(self.parts_of_tokens(parts, items, tokens), tokens != PAD)
        states = take_rows(states.flatten(0, 1), asked)
        term = self.softmax_term(states, self.candidate_vectors(parts), items, wanted, negatives)
        return {"next_item": term, **self.further_terms(states, wanted)}

    def softmax_term(
        self,
        states: Tensor,
        vectors: Tensor,
        items: Tensor,
        wanted: Tensor,
        negatives: Tensor | None,
        *,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of the items `wanted` [P] after states [P, D], over all of `items` or over `negatives`.

        Args:
            states: [P, D].
            vectors: [n, D] of `items`.
            items: [n] ascending, which hold all others that are named.
            wanted: [P].
            negatives: as drawn for the step; None for the softmax over all items.
            weights: [P] which states count; all if None.
        """
        places = torch.searchsorted(items, wanted)
        if negatives is None:
            return full_softmax(states, vectors, places, weights)
        return sampled_softmax(
            states,
            take_rows(vectors, places),
            take_rows(vectors, torch.searchsorted(items, negatives)),
            wanted.unsqueeze(1) == negatives,
            len(self._candidates),
            weights=weights,
        )

    def further_terms(self, states: Tensor, wanted: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Other loss terms, given states [P, D] and the items that came next [P]."""
        return {}

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier and projected modalities [n, D] of `items` [n] int64, or of all."""
        identifiers = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        content = self.projection(items) if self.projection else {}
        return {IDENTIFIER: identifiers, **content}

    def _draw_negatives(self) -> Tensor | None:
        if not self._n_negatives:
            return None
        drawn = torch.randint(
            len(self._candidates), (self._n_negatives,), generator=self.generator, device=self.device
        )
        return take_rows(self._candidates, drawn)

    def _items_of_step(self, tokens: Tensor, wanted: Tensor, negatives: Tensor | None) -> Tensor:
        """Items [n] ascending whose vectors a step needs; cold ones are in no denominator."""
        if negatives is None:
            return self._candidates
        return self.items_of(tokens, wanted, negatives)
