"""The pretrainers by name: those of this package, and those that others add under `mrs_pipeline.pretrainers`."""

from typing import TYPE_CHECKING, Final

from mrs_pipeline.code import boundary
from mrs_pipeline.registry import Registry, spec_flaw

if TYPE_CHECKING:
    from mrs_pipeline.models.pretraining.base import AnyPretrainer


def _pretrainer_flaw(name: str, found: object) -> str | None:
    from mrs_pipeline.models.pretraining.base import Pretrainer

    return spec_flaw(name, found, Pretrainer)


PRETRAINERS: Final["Registry[type[AnyPretrainer]]"] = boundary(
    Registry(
        "mrs_pipeline.pretrainers",
        "pretraining",
        {
            "pmgt": "mrs_pipeline.models.pretraining.pmgt:PmgtPretrainer",
            "pamd": "mrs_pipeline.models.pretraining.pamd:PamdPretrainer",
            "factors": "mrs_pipeline.models.pretraining.factors:FactorsPretrainer",
            "promptmm": "mrs_pipeline.models.pretraining.promptmm:PromptMmPretrainer",
            "mcptr": "mrs_pipeline.models.pretraining.mcptr:McptrPretrainer",
            "teacher": "mrs_pipeline.models.pretraining.teacher:TeacherPretrainer",
        },
        _pretrainer_flaw,
    )
)
"""Name -> class."""


def pretrainer_class(name: str) -> "type[AnyPretrainer]":
    """The pretrainer of that name; InputError lists the known names."""
    return PRETRAINERS.find(name)
