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

from mrs_pipeline.models.base import ParameterGroup
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.content_sequences import ContentSequenceRecommender
from mrs_pipeline.models.layers.content_tower import ContentConfig, ContentTower
from mrs_pipeline.models.layers.histories import HeadsConfig
from mrs_pipeline.models.layers.parts import CONTENT
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class EndToEndSasRecConfig(ContentConfig, HeadsConfig):
    """Settings of SASRec with encoders in the loop."""

    search_space = ContentConfig.search_space


class EndToEndSasRec(ContentSequenceRecommender[EndToEndSasRecConfig]):
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
        self.tower = ContentTower(config, inputs, generator)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The encoders have their own step size."""
        return self.tower.groups(self)

    def item_parts(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Encoded content [n, D] of `items` [n] int64, or of all."""
        return {CONTENT: self.tower(items)}
