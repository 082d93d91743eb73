"""The list of pretrainers: explicit imports, one dictionary. A pretrainer says everything else itself."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.pretraining.base import AnyPretrainer
from mrs_pipeline.models.pretraining.pamd import PamdPretrainer
from mrs_pipeline.models.pretraining.pmgt import PmgtPretrainer

_PRETRAINER_CLASSES: tuple[type[AnyPretrainer], ...] = (PmgtPretrainer, PamdPretrainer)

PRETRAINERS: Mapping[str, type[AnyPretrainer]] = MappingProxyType(
    {each.spec.name: each for each in _PRETRAINER_CLASSES}
)
"""Name -> class."""


def pretrainer_class(name: str) -> type[AnyPretrainer]:
    """The pretrainer of that name; InputError lists the known names."""
    if name not in PRETRAINERS:
        raise InputError(f"there is no pretraining '{name}'; there are {', '.join(PRETRAINERS)}")
    return PRETRAINERS[name]
