"""A light student of a heavy teacher: any factor model taught to score as another one does.

After Wei et al., "PromptMM: Multi-Modal Knowledge Distillation for Recommendation with Prompt-Tuning", WWW 2024.
https://arxiv.org/abs/2402.17188

Equation: the first step (`pretraining.teacher`) gives t_u and t_i of a multimodal model. loss = the student's own +
pair_weight * KL(Bernoulli sigmoid(<t_u, t_i - t_j> / T), the same of the student's e) + list_weight * T^2 *
KL(softmax_n <t_u, t_n> / T, the same of e) over `n_listed` items n that are drawn for the step. y_ui = <e_u, e_i>.

Deviations: only the two divergences are PromptMM's; teacher and student are free. The listed items are shared by the
rows of a step. The student's vectors are computed once more for them, beside its own loss, as scoring would.

Complexity: the student's step, its representations, and O(B n D).
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.distillation import listwise_distillation, pairwise_distillation
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.models.base import BatchSettings, PairBatch, ParameterGroup, Recommender
from mrs_pipeline.models.config import GradientConfig, ModelConfig, NeighbourSetting, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.models.wrapping import factor_model, wrapped_config
from mrs_pipeline.taxonomy import Cell


class DistillConfig(GradientConfig):
    """Settings of a student. The teacher is named under `pretraining: {teacher: {model: ...}}`."""

    search_space: ClassVar[SearchSpace] = {
        "pair_weight": (0.0, 0.1, 1.0),
        "list_weight": (0.0, 0.1, 1.0),
        "temperature": (1.0, 2.0, 5.0),
    }

    student: str = "bpr_mf"
    """Name of the model that learns: one of vectors of users and items, of interactions alone or with features."""
    settings: Mapping[str, object] = {}
    """Overrides of the student's own settings; embedding size and learning rate are those beside."""
    pair_weight: float = Field(default=0.1, ge=0)
    """Weight of the divergence of pairs."""
    list_weight: float = Field(default=1.0, ge=0)
    """Weight of the divergence of lists."""
    temperature: float = Field(default=1.0, gt=0)
    """T: above one, small gaps of the teacher's scores count more beside large ones."""
    n_listed: int = Field(default=100, ge=2, le=65536)
    """Items n of a list."""

    def wrapped(self) -> tuple[str, ...]:
        """The student."""
        return (self.student,)

    @property
    def item_neighbours(self) -> NeighbourSetting | None:
        """The student's."""
        return self.inner().item_neighbours

    def inner(self) -> ModelConfig:
        """The student's settings."""
        shared = {"embedding_size": self.embedding_size, "learning_rate": self.learning_rate}
        return wrapped_config(factor_model(self.student), self.settings, shared)

    @model_validator(mode="after")
    def _can_be_taught(self) -> Self:
        try:
            self.inner()
        except InputError as error:
            raise ValueError(str(error)) from error
        return self


class Distill(Recommender[DistillConfig, PairBatch]):
    """A student beside its teacher's vectors; see the module."""

    spec = ModelSpec(
        name="distill",
        title="Distilled student",
        paper="after Wei et al., WWW 2024",
        url="https://arxiv.org/abs/2402.17188",
        cells=frozenset({Cell.TWO_STEP}),
        complexity="student + O(B n D)",
        features=FeatureUse.REQUIRED,
        pretraining="teacher",
    )
    Config = DistillConfig

    def __init__(self, config: DistillConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self.student = factor_model(config.student)(config.inner(), inputs, generator)
        self._teacher_users = inputs.pretrained["teacher/users"]
        self._teacher_items = inputs.pretrained["teacher/items"]
        self._listed = torch.nonzero(inputs.items_seen()).flatten()

    @property
    def sees_content(self) -> bool:
        """Whether the student does; what its teacher saw reaches no item without a training row."""
        return self.student.sees_content

    def batch_settings(self) -> BatchSettings:
        """The student's."""
        return self.student.batch_settings()

    def parameter_groups(self) -> list[ParameterGroup]:
        """The student's."""
        return self.student.parameter_groups()

    def start_epoch(self) -> None:
        """The student's own preparation."""
        self.student.start_epoch()

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """The student's own loss and how far its scores are from the teacher's."""
        config = self.config
        places = torch.randint(
            len(self._listed), (config.n_listed,), generator=self.generator, device=self.device
        )
        items = torch.cat([batch.positives, batch.negatives.flatten(), take_rows(self._listed, places)])
        own = self.student.loss(batch)
        teacher = _scored(self._teacher_users, self._teacher_items, batch, items)
        student = _scored(*self.student.representations(), batch, items)
        return {
            **own,
            "pairs": config.pair_weight * pairwise_distillation(teacher[0], student[0], config.temperature),
            "lists": config.list_weight * listwise_distillation(teacher[1], student[1], config.temperature),
        }

    def representations(self) -> tuple[Tensor, Tensor]:
        """The student's."""
        return self.student.representations()


def _scored(users: Tensor, items: Tensor, batch: PairBatch, named: Tensor) -> tuple[Tensor, Tensor]:
    """Gaps [B, 1] or [B, n] of positives and negatives, and scores [B, n] of the listed, from vectors of all.

    `named` are the batch's positives, its negatives and the listed items in a row.
    """
    rows, vectors = take_rows(users, batch.users), take_rows(items, named)
    b, n = len(rows), batch.negatives.numel()
    positives, negatives, listed = vectors[:b], vectors[b : b + n], vectors[b + n :]
    gaps = positives.unsqueeze(1) - negatives.view(b, -1, vectors.shape[1])
    return (rows.unsqueeze(1) * gaps).sum(2), rows @ listed.T
