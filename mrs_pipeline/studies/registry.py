"""The studies by name: those of this package, and those that others add under `mrs_pipeline.studies`."""

from typing import Final

from mrs_pipeline.code import boundary
from mrs_pipeline.registry import Registry
from mrs_pipeline.studies.base import Experiment

_HERE: Final = "mrs_pipeline.studies"


def _flaw(name: str, found: object) -> str | None:
    if not isinstance(found, Experiment):
        return f"is no {Experiment.__module__}.{Experiment.__qualname__}"
    return None if found.name == name else f"calls itself '{found.name}'"


EXPERIMENTS: Final[Registry[Experiment]] = boundary(
    Registry(
        "mrs_pipeline.studies",
        "experiment",
        {
            "modality": f"{_HERE}.modality:MODALITY",
            "fusion": f"{_HERE}.fusion:FUSION",
            "enhancement": f"{_HERE}.enhancement:ENHANCEMENT",
            "disentangled": f"{_HERE}.disentangled:DISENTANGLED",
            "training": f"{_HERE}.training_modes:TRAINING",
            "missing": f"{_HERE}.missing:MISSING",
            "mirror": f"{_HERE}.mirror:MIRROR",
            "features": f"{_HERE}.feature_sets:FEATURES",
            "scaling": f"{_HERE}.feature_sets:SCALING",
        },
        _flaw,
    )
)
"""Name -> experiment: the survey's six in its order, then what else is asked."""


def experiment(name: str) -> Experiment:
    """The experiment of that name; InputError lists the known names."""
    return EXPERIMENTS.find(name)
