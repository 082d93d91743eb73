"""Feature sets as they lie in the store: matrix, mask, and the numbers that were found when they were made.

How they get there is `features`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrs_pipeline.encoders.checks import FeatureSummary, summarise
from mrs_pipeline.encoders.store import MATRIX, PRESENT
from mrs_pipeline.stages.base import Stage
from mrs_pipeline.types import FeatureMatrix

DRIFT = ("drift_cosine", "drift_norm")
"""What is known only while the previous version still lies there, and so is kept beside the vectors."""


def read_features(stage: Stage, name: str) -> FeatureMatrix:
    """A materialised feature set, memory-mapped."""
    return features_in(stage.features.read(stage.config.name, stage.window, name).directory, name)


def summary_of(stage: Stage, name: str) -> FeatureSummary:
    """A materialised feature set in numbers; drift against what it replaced, as it was found then."""
    features = read_features(stage, name)
    facts = stage.features.read(stage.config.name, stage.window, name).facts
    drift = {key: facts.get(key) for key in DRIFT}
    return replace(summarise(features.values, features.present), **drift)  # type: ignore[arg-type]


def features_in(directory: Path, name: str) -> FeatureMatrix:
    """The feature set whose files lie in a directory, memory-mapped."""
    values = np.load(directory / MATRIX, mmap_mode="r", allow_pickle=False)
    return FeatureMatrix(values, np.load(directory / PRESENT, allow_pickle=False), name)
