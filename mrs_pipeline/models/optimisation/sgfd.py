"""SGFD. Liu et al., "Semantic-Guided Feature Distillation for Multimodal Recommendation", MM 2023.

https://arxiv.org/abs/2308.03113

Equation: of each modality a teacher t^m, linear maps that divide the width by four until it is below D, then one to
D, leaky ReLU, length one; and a student s^m, one linear map, leaky ReLU, length one. One head C tells an item's class
from either. loss = the base model's + class_weight * (mean_m CE(C t^m, class) + CE(C' leaky(W [t^1 ; ..; t^M]),
class)) + distill_weight * mean_m (|softmax(C t^m / T) - softmax(C s^m / T)|_1 / classes + |s^m - t^m|^2 / D). The
base model reads students alone: y_ui = <p_u, q_i + sum_m s_i^m>, BPR + reg_weight * half the squared norm of the
batch's rows.

Deviations: the base is matrix factorisation with content (published: BM3 and others). Classes are `n_classes`
clusters of the content of all modalities, where a catalogue's categories are not at hand. The teacher gets no
gradient from the student (in the published code it is pulled towards it), and cross-entropy is of logits (published:
of what a softmax has gone over already). Both are learned together, as published, so that the teacher is no step of
its own before. A modality that an item lacks is neither taught nor read; an item without any has no class. Features
have rows of length one.

Complexity: O(B (F^2 + F D)) a step of B distinct items, for the teacher's first map; O(I F D) to score.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu, normalize

from mrs_pipeline.functional.distinct import mean_of
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.losses import bpr_inner, squared_norm
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import DistinctRows
from mrs_pipeline.models.layers.content_clusters import NONE, joint_clusters
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.parameters import linear
from mrs_pipeline.models.layers.projection import with_unit_features
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class SgfdConfig(GradientConfig):
    """Settings of SGFD."""

    search_space: ClassVar[SearchSpace] = {
        "class_weight": (0.01, 0.1, 1.0),
        "distill_weight": (0.01, 0.1, 1.0),
        "temperature": (1.0, 10.0, 50.0),
        "reg_weight": (1e-4, 1e-3, 1e-2),
    }

    n_classes: int = Field(default=25, ge=2, le=10_000)
    """Clusters of content that stand for categories."""
    class_weight: float = Field(default=0.1, ge=0)
    """Weight of telling the class from teachers."""
    distill_weight: float = Field(default=0.1, ge=0)
    """Weight of the students' distance from teachers."""
    temperature: float = Field(default=10.0, gt=0)
    """T of the classes' shares."""
    reg_weight: float = Field(default=1e-3, ge=0)
    """Weight of the squared norm of the batch's vectors."""


class Sgfd(IdentifierRecommender[SgfdConfig]):
    """Content as a light student sees it, taught by what tells an item's class; see the module."""

    spec = ModelSpec(
        name="sgfd",
        title="SGFD",
        paper="Liu et al., MM 2023",
        url="https://arxiv.org/abs/2308.03113",
        cells=frozenset({Cell.USER_ITEM_GRAPH, Cell.TWO_STEP}),
        complexity="O(B (F^2 + F D))",
        clusters=True,
        features=FeatureUse.REQUIRED,
    )
    Config = SgfdConfig

    def __init__(self, config: SgfdConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._features, self._present = with_unit_features(inputs).features, inputs.present
        self._classes = joint_clusters(inputs, config.n_classes)
        self.teachers, self.students = nn.ModuleDict(), nn.ModuleDict()
        for name, rows in self._features.items():
            widths = _narrowing(rows.shape[1], size)
            steps = pairwise(widths)
            self.teachers[name] = nn.Sequential(*(linear(one, other, generator) for one, other in steps))
            self.students[name] = linear(rows.shape[1], size, generator)
        self.head = linear(size, config.n_classes, generator)
        self.joint = linear(len(self._features) * size, size, generator)
        self.joint_head = linear(size, config.n_classes, generator)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR by students, classes by teachers, and the distance of the two."""
        config, rows = self.config, DistinctRows.of(batch)
        students = self._told(self.students, rows.items)
        items = take_rows(self.item_embedding, rows.items) + torch.stack(list(students.values())).sum(0)
        final = rows.pair_rows(take_rows(self.user_embedding, rows.users), items)
        teachers = self._told(self.teachers, rows.items)
        classes = take_rows(self._classes, rows.items)
        counted = rows.item_counts() > 0
        known = (classes != NONE) & counted
        fused = self.joint_head(leaky_relu(self.joint(torch.cat(list(teachers.values()), dim=1))))
        told = _cross_entropy(fused, classes, known)
        lost = torch.zeros_like(told)
        for name, taught in teachers.items():
            there = take_rows(self._present[name], rows.items) & counted
            logits = self.head(taught)
            told = told + _cross_entropy(logits, classes, there) / len(teachers)
            wanted = (logits.detach() / config.temperature).softmax(1)
            guess = (self.head(students[name]) / config.temperature).softmax(1)
            gaps = (wanted - guess).abs().mean(1) + (students[name] - taught.detach()).square().mean(1)
            lost = lost + mean_of(gaps, there.to(gaps.dtype)) / len(teachers)
        return {
            "bpr": bpr_inner(*final),
            "reg": config.reg_weight * squared_norm(*final),
            "classes": config.class_weight * told,
            "distillation": config.distill_weight * lost,
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D]; identifiers and students [I, D]."""
        everything = torch.arange(self.n_items, device=self.device)
        content = torch.stack(list(self._told(self.students, everything).values())).sum(0)
        return self.user_embedding, self.item_embedding + content

    def _told(self, extractors: nn.ModuleDict, items: Tensor) -> dict[str, Tensor]:
        """Modality -> vectors [n, D] of length one of `items` [n], zero where missing."""
        found = {}
        for name, extractor in extractors.items():
            rows = normalize(leaky_relu(extractor(take_rows(self._features[name], items))), dim=1)
            found[name] = rows * take_rows(self._present[name], items).unsqueeze(1)
        return found


def _narrowing(width: int, size: int) -> list[int]:
    """Widths from `width` divided by four while above `size`, and `size` last.

    >>> _narrowing(4096, 64), _narrowing(7, 64)
    ([4096, 1024, 256, 64], [7, 64])
    """
    widths = [width]
    while widths[-1] // 4 > size:
        widths.append(widths[-1] // 4)
    return [*widths, size]


def _cross_entropy(logits: Tensor, classes: Tensor, rows: Tensor) -> Tensor:
    """Mean over the `rows` [B] that are true, of logits [B, C]; 0 without any."""
    losses = cross_entropy(logits, classes.clamp(min=0), reduction="none")
    return mean_of(losses, rows.to(losses.dtype))
