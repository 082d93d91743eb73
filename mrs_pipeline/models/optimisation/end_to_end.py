"""Two towers end to end: the ranking loss trains the encoders of pictures and texts.

After Ni et al., "A Content-Driven Micro-Video Recommendation Dataset at Scale" (MicroLens, 2023), whose VideoRec
models put an encoder in the loop, with a user tower of the plainest kind.
https://arxiv.org/abs/2309.15379

Equation: v_i = mean_m W_m encoder_m(raw_i^m) over the modalities that i has; y_ui = <p_u, v_i>; loss = cross-entropy
of a user's item among the batch's items, scores less log popularity, without what the user has taken.

Deviations: the published models have sequence heads (`end_to_end_sasrec`); here a user is a learned vector, so that
what the encoder in the loop is worth is seen without the order of events. Negatives are the batch's other items, so
that a step encodes at most as many items as the batch has pairs. Encoders are small ones from scratch or any network
of the `transformers` library that comes with the raw content; they stay in evaluation mode. Video enters as pictures
do. An item without any content has the zero vector. There are no identifiers of items: cold items are ranked like
all others.

Complexity: O(n encoder + B n D) a step for the n <= B distinct items of a batch of B pairs; memory for the activations
of `items_at_once` items. Scoring encodes the catalogue once.
"""

import torch
from torch import Tensor, nn

from mrs_pipeline.functional.distinct import distinct, repeated
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.membership import taken
from mrs_pipeline.functional.softmax import in_batch_softmax
from mrs_pipeline.models.base import PairBatch, ParameterGroup, Recommender
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_tower import ContentConfig, ContentTower
from mrs_pipeline.models.layers.interactions import interaction_matrix, popularity
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class EndToEndConfig(ContentConfig):
    """Settings of the two towers."""


class EndToEnd(Recommender[EndToEndConfig, PairBatch]):
    """User vectors against encoders in the loop; see the module."""

    spec = ModelSpec(
        name="end_to_end",
        title="End-to-end two towers",
        paper="after Ni et al., 2023 (MicroLens)",
        url="https://arxiv.org/abs/2309.15379",
        cells=frozenset({Cell.END_TO_END}),
        complexity="O(n encoder + B n D)",
        raw=FeatureUse.REQUIRED,
    )
    Config = EndToEndConfig

    def __init__(self, config: EndToEndConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._history = interaction_matrix(inputs)
        self._popularity = popularity(inputs)
        self.user_embedding: nn.Parameter = embedding(inputs.users_seen(), config.embedding_size, generator)
        self.tower = ContentTower(config, inputs, generator)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The encoders have their own step size."""
        return self.tower.groups(self)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """Each pair's item among all items of the batch."""
        items, places = distinct(batch.positives)
        term = in_batch_softmax(
            take_rows(self.user_embedding, batch.users),
            self.tower(items),
            places,
            take_rows(self._popularity, items),
            taken(self._history, batch.users, items) | repeated(items),
        )
        return {"in_batch": term}

    def representations(self) -> tuple[Tensor, Tensor]:
        """User vectors and the encoded catalogue."""
        return self.user_embedding, self.tower()
