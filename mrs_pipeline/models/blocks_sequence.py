"""What sequence models share: settings, item vectors, the next-item loss, recommending from known histories.

Attention over a sequence is in `blocks_attention_sequence`. A sequence model has no user vector: the user is the
history, and the score of an item is the inner product of its vector and the state after the latest token.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mrs_pipeline.functional.sequences import PAD, Histories
from mrs_pipeline.functional.softmax import full_softmax, sampled_softmax
from mrs_pipeline.functional.sparse import take_rows
from mrs_pipeline.models.base import (
    FeatureUse,
    GradientConfig,
    ModelInputs,
    Recommender,
    Scorer,
    SearchSpace,
    SequenceBatch,
)
from mrs_pipeline.models.blocks import ModalityProjection, embedding
from mrs_pipeline.types import Interactions

IDENTIFIER = "id"
"""Name of the identifiers among the parts of an item."""
_WHOLE_CATALOGUE = 20_000
"""Items up to which the softmax is over the whole catalogue where the settings leave it open."""
_SAMPLE = 1024
"""Negatives above that."""

Parts = Mapping[str, Tensor]
"""`id` and each modality -> vectors of items [n, D] or of tokens [B, K, D]."""


class SequenceConfig(GradientConfig):
    """Settings that all sequence models have."""

    search_space: ClassVar[SearchSpace] = {"dropout": (0.1, 0.2, 0.5), "n_layers": (1, 2)}

    max_length: int = Field(default=50, ge=1, le=1000)
    """Latest tokens of a history that are looked at."""
    n_layers: int = Field(default=2, ge=1, le=16)
    """Blocks."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of entries zeroed in training."""
    n_negatives: int | None = Field(default=None, ge=0, le=100_000)
    """Items of the sampled softmax, drawn anew each step and shared by the batch; 0 for the softmax over the whole
    catalogue. Left open, it is the whole catalogue up to 20,000 items and 1,024 negatives beyond."""


class AttentionConfig(SequenceConfig):
    """Settings of sequence models with attention."""

    search_space: ClassVar[SearchSpace] = {**SequenceConfig.search_space, "n_heads": (1, 2)}

    n_heads: int = Field(default=1, ge=1, le=64)
    """Attention heads; must divide `embedding_size`."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide embedding_size {self.embedding_size}")
        return self


class SequenceRecommender(Recommender):
    """Predicts the next item at every position of a history. A subclass turns parts of tokens into states."""

    def __init__(self, config: SequenceConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._trained = _rows_of(inputs)
        self._histories = self._known_histories(None)
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
        names = [IDENTIFIER, *(inputs.features if self.projection else ())]
        self.start = nn.ParameterDict({name: _start_vector(size, generator) for name in names})

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """States [B, K, D] after each token of rows padded on the left; `real` [B, K] bool is False at padding.

        A state may depend on its own and on earlier tokens only.
        """
        raise NotImplementedError

    def batch_settings(self) -> Mapping[str, Any]:
        """Stretches as long as the model looks back."""
        return {"length": self.config.max_length}

    def observe(self, known: Interactions | None) -> None:
        """Histories go on with what is `known`, or with None end with the training rows again."""
        self._histories = self._known_histories(known)

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Cross-entropy of the next item at every position."""
        tokens, targets = self._within_length(batch)
        asked = targets != PAD
        negatives = self._draw_negatives()
        items = self._items_of_step(tokens, targets, negatives)
        parts = self.item_parts(items)
        states = self.states(self._of_tokens(parts, items, tokens), tokens != PAD)[asked]
        wanted = targets[asked]
        vectors = self.candidate_vectors(parts)
        places = torch.searchsorted(items, wanted)
        if negatives is None:
            term = full_softmax(states, vectors, places)
        else:
            term = sampled_softmax(
                states,
                take_rows(vectors, places),
                take_rows(vectors, torch.searchsorted(items, negatives)),
                wanted.unsqueeze(1) == negatives,
                len(self._candidates),
            )
        return {"next_item": term, **self.further_terms(states, wanted)}

    def further_terms(self, states: Tensor, wanted: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Other loss terms, given states [P, D] and the items that came next [P]."""
        return {}

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Identifier and projected modalities [n, D] of `items` [n] int64, or of all."""
        identifiers = self.item_embedding if items is None else take_rows(self.item_embedding, items)
        content = self.projection(items) if self.projection else {}
        return {IDENTIFIER: identifiers, **content}

    def candidate_vectors(self, parts: Parts) -> Tensor:
        """[n, D] what a state is compared with: the sum of an item's parts, so that cold items have a vector too."""
        return torch.stack(list(parts.values())).sum(0)

    def scorer(self) -> Scorer:
        """States after the latest known token times the vectors of all items, which are made once."""
        parts = self.item_parts()
        columns = self.candidate_vectors(parts).T.contiguous()
        table = self._with_start(parts)

        def score(users: Tensor) -> Tensor:
            tokens = self._histories.latest(users, self.config.max_length)
            places = torch.where(tokens == PAD, self.n_items + 1, tokens)
            states = self.states(_looked_up(table, places), tokens != PAD)
            return states[:, -1] @ columns

        return score

    @property
    def rate(self) -> float:
        """Share of entries to drop now: none when scoring."""
        return float(self.config.dropout) if self.training else 0.0

    def _known_histories(self, known: Interactions | None) -> Histories:
        users, items, times = self._trained
        if known is not None and len(known):
            if known.times is None:
                raise ValueError("interactions to observe must have times, as those of training have")
            more = (known.users, known.items, known.times)
            users, items, times = (
                torch.cat([old, torch.from_numpy(new).to(self.device)])
                for old, new in zip(self._trained, more, strict=True)
            )
        return Histories.from_rows(users, items, times, self.n_users, self.n_items)

    def _within_length(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        length = self.config.max_length
        return batch.tokens[:, -length:], batch.targets[:, -length:]

    def _draw_negatives(self) -> Tensor | None:
        if not self._n_negatives:
            return None
        drawn = torch.randint(
            len(self._candidates), (self._n_negatives,), generator=self.generator, device=self.device
        )
        return take_rows(self._candidates, drawn)

    def _items_of_step(self, tokens: Tensor, targets: Tensor, negatives: Tensor | None) -> Tensor:
        """Items [n] ascending whose vectors a step needs; cold ones are in no denominator."""
        if negatives is None:
            return self._candidates
        used: Tensor = torch.unique(torch.cat([tokens.flatten(), targets.flatten(), negatives]))
        return used[(used != PAD) & (used != self.n_items)]

    def _of_tokens(self, parts: Parts, items: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        """Vectors [B, K, D] of tokens, from those of `items` [n] ascending."""
        places = torch.searchsorted(items, tokens.contiguous())  # the start token is above every item
        return _looked_up(self._with_start(parts), torch.where(tokens == PAD, len(items) + 1, places))

    def _with_start(self, parts: Parts) -> dict[str, Tensor]:
        """Two rows more: the start token's, and zeros for padding."""
        return {
            name: torch.cat([rows, self.start[name].unsqueeze(0), rows.new_zeros(1, rows.shape[1])])
            for name, rows in parts.items()
        }


def position_embedding(length: int, size: int, generator: torch.Generator) -> nn.Parameter:
    """[length, size] a vector for each place counted from the latest token, which is the last row."""
    table = torch.empty(length, size, device=generator.device)
    nn.init.xavier_normal_(table, generator=generator)
    return nn.Parameter(table)


def _looked_up(tables: Parts, places: Tensor) -> dict[str, Tensor]:
    flat = places.flatten()
    return {name: take_rows(table, flat).view(*places.shape, -1) for name, table in tables.items()}


def _rows_of(inputs: ModelInputs) -> tuple[Tensor, Tensor, Tensor]:
    assert inputs.times is not None, "the base refuses sequence models without times"
    return inputs.users, inputs.items, inputs.times


def _start_vector(size: int, generator: torch.Generator) -> nn.Parameter:
    vector = torch.empty(1, size, device=generator.device)
    nn.init.xavier_normal_(vector, generator=generator)
    return nn.Parameter(vector[0])
