"""SiBraR-style. After Ganhoer et al., "A Multimodal Single-Branch Embedding Network ...", RecSys 2024.

In full: "A Multimodal Single-Branch Embedding Network for Recommendation in Cold-Start and Missing Modality
Scenarios". https://arxiv.org/abs/2409.17864

Equation: every source of an item, its interactions (a learned q_i) and each modality, is brought to one width, h^c =
q_i or W_m x^m/|x^m| + b_m, and goes through one and the same branch g(h) = W_2 ReLU(W_1 h + b_1) + b_2. In training
an item stands for itself by one of the sources that it has, drawn for each; y_ui = <p_u, g(h_i^c)>, loss = BPR +
contrast_weight * InfoNCE of two sources of the batch's positives, drawn for each, both ways, + reg_weight * half the
squared norm of the batch's rows. When scoring an item is the mean of g over the sources that it has, so that a
missing one is nowhere.

Deviations: written from what is known of the paper, not from its code. Users have their interactions alone, as a
learned vector that no branch turns. The interactions of an item are a learned vector, in place of its row of the
matrix through a linear map. How many sources are drawn, their shares and the branch's depth are ours.

Complexity: O(B (F D + D^2) + B^2 D) a step; O(I M (F D + D^2)) to score.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, info_nce, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import once
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import ModalityProjection
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_SOURCES_AT_ONCE = 16_384
"""Items whose sources are in memory together when scoring."""


class SibrarConfig(GradientConfig):
    """Settings of SiBraR-style."""

    search_space: ClassVar[SearchSpace] = {
        "contrast_weight": (0.0, 0.01, 0.1),
        "temperature": (0.1, 0.2, 0.5),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    hidden_size: int = Field(default=128, ge=1, le=8192)
    """Width of the branch's hidden layer."""
    contrast_weight: float = Field(default=0.01, ge=0)
    """Weight of the contrast of two sources of an item."""
    temperature: float = Field(default=0.2, gt=0)
    """Of the contrast's softmax."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Sibrar(IdentifierRecommender[SibrarConfig]):
    """One branch for all that is known of an item, whichever of it is there; see the module."""

    spec = ModelSpec(
        name="sibrar",
        title="SiBraR-style",
        paper="after Ganhoer et al., RecSys 2024",
        url="https://arxiv.org/abs/2409.17864",
        cells=frozenset({Cell.OTHER_FUSION, Cell.CONTRASTIVE}),
        complexity="O(B (F D + D^2) + B^2 D)",
        features=FeatureUse.REQUIRED,
    )
    Config = SibrarConfig

    def __init__(self, config: SibrarConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._has = torch.stack([inputs.items_seen(), *inputs.present.values()], dim=1)
        # a source that is missing is never asked for, so that nothing has to stand for it
        there = {name: torch.ones_like(mask) for name, mask in inputs.present.items()}
        features = {name: normalize(rows, dim=1) for name, rows in inputs.features.items()}
        known = replace(inputs, features=features, present=there)
        self.projection = ModalityProjection(known, size, generator)
        self.first = linear(size, config.hidden_size, generator)
        self.second = linear(config.hidden_size, size, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR by one source of each item; contrast of two sources of the positives."""
        config = self.config
        users = take_rows(self.user_embedding, batch.users)
        one = self._by_source(batch.positives, self._drawn(batch.positives))
        other = self._by_source(batch.negatives, self._drawn(batch.negatives))
        items, rows = once(batch.positives)
        # for each pair, so that the draws are the same wherever distinct items are not counted
        first, second = (self._by_source(items, self._drawn(items, len(batch.positives))) for _ in range(2))
        both_ways = info_nce(first, second, config.temperature, rows) + info_nce(
            second, first, config.temperature, rows
        )
        return {
            "bpr": bpr_inner(users, one, other),
            "contrast": config.contrast_weight * both_ways / 2,
            "reg": config.reg_weight * squared_norm(users, one, other),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D]; the mean of an item's sources [I, D], zero without any."""
        found = []
        for items in torch.split(torch.arange(self.n_items, device=self.device), _SOURCES_AT_ONCE):
            has = take_rows(self._has, items).unsqueeze(2)
            branch = self._branch(self._sources(items))
            found.append((branch * has).sum(1) / has.sum(1).clamp(min=1))
        return self.user_embedding, torch.cat(found)

    def _sources(self, items: Tensor) -> Tensor:
        """[n, 1 + M, D] of `items` [n], the interactions first."""
        return torch.stack([take_rows(self.item_embedding, items), *self.projection(items).values()], dim=1)

    def _branch(self, sources: Tensor) -> Tensor:
        """The one branch g [..., D] of sources [..., D]."""
        turned: Tensor = self.second(self.first(sources).relu())
        return turned

    def _drawn(self, items: Tensor, draws: int | None = None) -> Tensor:
        """[n] a source of each of `items` [n], which all have one, by the first n of so many draws; n if None."""
        has = take_rows(self._has, items)
        shape = (draws or len(has), has.shape[1])
        keys = torch.rand(shape, generator=self.generator, device=self.device)[: len(has)]
        return keys.masked_fill(~has, -1.0).argmax(1)

    def _by_source(self, items: Tensor, sources: Tensor) -> Tensor:
        """[n, D] of `items` [n] by one of their `sources` [n] each."""
        each, place = distinct(items)
        rows = self._sources(each)[place, sources]
        return self._branch(rows)
