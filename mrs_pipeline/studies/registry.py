"""The list of experiments: explicit imports, one dictionary."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.studies.base import Experiment
from mrs_pipeline.studies.disentangled import DISENTANGLED
from mrs_pipeline.studies.enhancement import ENHANCEMENT
from mrs_pipeline.studies.fusion import FUSION
from mrs_pipeline.studies.mirror import MIRROR
from mrs_pipeline.studies.missing import MISSING
from mrs_pipeline.studies.modality import MODALITY
from mrs_pipeline.studies.training_modes import TRAINING

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {each.name: each for each in (MODALITY, FUSION, ENHANCEMENT, DISENTANGLED, TRAINING, MISSING, MIRROR)}
)
"""Name -> experiment: the survey's six in its order, then what else is asked."""


def experiment(name: str) -> Experiment:
    """The experiment of that name; InputError lists the known names."""
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment '{name}'; the experiments are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
