"""The list of pretrainers: explicit imports, one dictionary. A pretrainer says everything else itself."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.pretraining.base import Pretrainer
from mrs_pipeline.models.pretraining.pamd import PamdPretrainer
from mrs_pipeline.models.pretraining.pmgt import PmgtPretrainer

_CLASSES: tuple[type[Pretrainer], ...] = (PmgtPretrainer, PamdPretrainer)

PRETRAINERS: Mapping[str, type[Pretrainer]] = MappingProxyType({each.spec.name: each for each in _CLASSES})
"""Name -> class."""


def pretrainer_class(name: str) -> type[Pretrainer]:
    """The pretrainer of that name; InputError lists the known names."""
    if name not in PRETRAINERS:
        raise InputError(f"there is no pretraining '{name}'; there are {', '.join(PRETRAINERS)}")
    return PRETRAINERS[name]
