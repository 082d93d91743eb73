"""SASRec end to end: the next-item loss trains the encoders of pictures and texts.

Ni et al., "A Content-Driven Micro-Video Recommendation Dataset at Scale" (MicroLens), 2023: their VideoRec models,
with SASRec (Kang & McAuley, ICDM 2018) as the head.
https://arxiv.org/abs/2309.15379

Equation: v_i = mean_m W_m encoder_m(raw_i^m) over the modalities that i has; h = SASRec(v of the history);
y_{t,j} = <h_t, v_j>; loss = cross-entropy of the next item at every position among the batch's items, scores less log
popularity, without what the user has taken.

Deviations: pictures and texts in place of video frames; cross-entropy among the batch's items in place of the
published binary cross-entropy, so that a step encodes no item that is not in one of its histories. Encoders are small
ones from scratch or any network of the `transformers` library that comes with the raw content; they stay in
evaluation mode. An item without any content has the zero vector. There are no identifiers of items: cold items are
ranked like all others. For the start token and histories longer than `max_length` see SASRec.

Complexity: O(n encoder + B L (K D + D^2) + B n D) a step for the n distinct items of B positions in rows of K =
max_length; memory for the activations of `items_at_once` items. Scoring encodes the catalogue once.
"""

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import repeated
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.membership import taken
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.functional.softmax import in_batch_softmax
from mrs_pipeline.models.base import ParameterGroup, SequenceBatch
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.causal_attention import AttentionTrunk, itself
from mrs_pipeline.models.layers.content_tower import ContentConfig, ContentTower
from mrs_pipeline.models.layers.histories import HeadsConfig, HistoryRecommender, position_embedding
from mrs_pipeline.models.layers.interactions import interaction_matrix, popularity
from mrs_pipeline.models.layers.parts import Parts
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_CONTENT = "content"


class EndToEndSasRecConfig(ContentConfig, HeadsConfig):
    """Settings of SASRec with encoders in the loop."""

    search_space = ContentConfig.search_space


class EndToEndSasRec(HistoryRecommender[EndToEndSasRecConfig]):
    """Self-attention over encoded content; see the module."""

    spec = ModelSpec(
        name="end_to_end_sasrec",
        title="End-to-end SASRec",
        paper="Ni et al., 2023 (MicroLens)",
        url="https://arxiv.org/abs/2309.15379",
        cells=frozenset({Cell.END_TO_END}),
        complexity="O(n encoder + B L (K D + D^2) + B n D)",
        batches=BatchKind.SEQUENCES,
        histories=True,
        raw=FeatureUse.REQUIRED,
    )
    Config = EndToEndSasRecConfig

    def __init__(self, config: EndToEndSasRecConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._history = interaction_matrix(inputs)
        self._popularity = popularity(inputs)
        self.make_start([_CONTENT], size)
        self.positions = position_embedding(config.max_length, size, generator)
        self.trunk = AttentionTrunk(size, config.n_layers, config.n_heads, generator)
        self.tower = ContentTower(config, inputs, generator)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The encoders have their own step size."""
        return self.tower.groups(self)

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
            parts[_CONTENT],
            torch.searchsorted(items, wanted),
            take_rows(self._popularity, items),
            take_rows(taken(self._history, batch.users, items) | repeated(items), rows),
        )
        return {"next_item": term}

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Encoded content [n, D] of `items` [n] int64, or of all."""
        return {_CONTENT: self.tower(items)}

    def states(self, parts: Parts, real: Tensor) -> Tensor:
        """Self-attention over content and positions."""
        x = dropout(parts[_CONTENT] + self.positions[-real.shape[1] :], self.rate, self.generator)
        states: Tensor = self.trunk(x, [itself] * self.config.n_layers, real, self.rate)
        return states
