"""Next-item models over encoded content alone: SASRec as the head, the batch's items as candidates."""

from typing import TypeVar

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import repeated
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.membership import taken
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.functional.softmax import in_batch_softmax
from mrs_pipeline.models.base import SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.histories import HeadsConfig, HistoryRecommender, position_embedding
from mrs_pipeline.models.layers.interactions import interaction_matrix, popularity
from mrs_pipeline.models.layers.parts import CONTENT, Parts

HeadsT_co = TypeVar("HeadsT_co", bound=HeadsConfig, covariant=True)


class ContentSequenceRecommender(HistoryRecommender[HeadsT_co]):
    """Self-attention over content; a subclass gives the vectors of items (`item_parts`, one part, `CONTENT`)."""

    def __init__(self, config: HeadsT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._history = interaction_matrix(inputs)
        self._popularity = popularity(inputs)
        self.make_start([CONTENT], size)
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """The next item at every position among all items of the batch."""
        tokens, targets = self.within_length(batch)
        asked = self.asked(targets, batch)
        wanted = take_rows(targets.flatten(), asked)
        items = self.items_of(tokens, wanted)
        parts = self.item_parts(items)
        states = self.states(self.parts_of_tokens(parts, items, tokens), tokens != PAD)
        states, rows = take_rows(states.flatten(0, 1), asked), asked // targets.shape[1]
        term = in_batch_softmax(
            states,
            parts[CONTENT],
            torch.searchsorted(items, wanted),
            take_rows(self._popularity, items),
            take_rows(taken(self._history, batch.users, items) | repeated(items), rows),
        )
        return {"next_item": term}

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Self-attention over content and positions."""
        x = dropout(parts[CONTENT] + self.positions[-real.shape[1] :], self.rate, self.generator)
        states: Tensor = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        return states
