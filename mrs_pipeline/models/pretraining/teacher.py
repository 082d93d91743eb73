"""The teacher of a distillation: vectors of users and items by a model that looks at content.

Wei et al., "PromptMM: Multi-Modal Knowledge Distillation for Recommendation with Prompt-Tuning", WWW 2024 (for the
idea of a heavy multimodal teacher of a light student). https://arxiv.org/abs/2402.17188

Equation: as of `factors`, by another model where none is named.

Deviations: as of `factors`.

Complexity: the model's.
"""

from mrs_pipeline.models.pretraining.base import PretrainerSpec
from mrs_pipeline.models.pretraining.factors import FactorsConfig, FactorVectors


class TeacherConfig(FactorsConfig):
    """Settings of a teacher."""

    model: str = "freedom"
    """Name of the model: one of vectors of users and items, of interactions alone or with features."""


class TeacherPretrainer(FactorVectors[TeacherConfig]):
    """A teacher's vectors; see the module."""

    spec = PretrainerSpec(
        name="teacher",
        title="Teacher",
        paper="as in Wei et al., WWW 2024",
        url="https://arxiv.org/abs/2402.17188",
        complexity="the model's",
    )
    Config = TeacherConfig
