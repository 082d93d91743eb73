"""The list of experiments: explicit imports, one dictionary."""

from collections.abc import Mapping
from types import MappingProxyType

from mrs_pipeline.errors import InputError
from mrs_pipeline.experiments.base import Experiment
from mrs_pipeline.experiments.disentangled import DISENTANGLED
from mrs_pipeline.experiments.enhancement import ENHANCEMENT
from mrs_pipeline.experiments.fusion import FUSION
from mrs_pipeline.experiments.missing import MISSING
from mrs_pipeline.experiments.modality import MODALITY

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {each.name: each for each in (MODALITY, FUSION, ENHANCEMENT, DISENTANGLED, MISSING)}
)
"""Name -> experiment, in the survey's order."""


def experiment(name: str) -> Experiment:
    """The experiment of that name; InputError lists the known names."""
    if name not in EXPERIMENTS:
        raise InputError(f"there is no experiment '{name}'; the experiments are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
