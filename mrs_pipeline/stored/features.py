"""Feature sets as they lie in the store: matrix, mask, and the numbers that were found when they were made.

How they get there is `features`.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from mrs_pipeline.encoders.diagnostics import FeatureSummary, summarise_features
from mrs_pipeline.encoders.store import MATRIX, PRESENT, SUMMARY, PreviousExtraction
from mrs_pipeline.storage.artifacts import ArtifactStore
from mrs_pipeline.tasks.places import windows
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.types import FeatureMatrix

LOG = logging.getLogger("mrs_pipeline")
DRIFT = ("drift_cosine", "drift_norm")
"""What is known only while the previous version is still stored, and so is kept beside the vectors."""

PACE = "items_per_second"
"""Of the extraction that last encoded rows; kept beside the vectors too."""


def read_features(stage: Stage, name: str) -> FeatureMatrix:
    """A materialised feature set, memory-mapped."""
    return features_in(stage.features.read(stage.config.name, stage.window, name).directory, name)


def summary_of(stage: Stage, name: str) -> FeatureSummary:
    """A materialised feature set in numbers; drift against what it replaced, as it was found then."""
    features = read_features(stage, name)
    facts = stage.features.read(stage.config.name, stage.window, name).facts
    drift = {key: facts.get(key) for key in DRIFT}
    return replace(summarise_features(features.values, features.present), **drift)  # type: ignore[arg-type]


def features_in(directory: Path, name: str) -> FeatureMatrix:
    """The feature set whose files lie in a directory, memory-mapped."""
    values = np.load(directory / MATRIX, mmap_mode="r", allow_pickle=False)
    return FeatureMatrix(values, np.load(directory / PRESENT, allow_pickle=False), name)


def previous_extraction(stage: Stage, store: ArtifactStore, name: str) -> PreviousExtraction | None:
    """The extraction to take unchanged rows from: this window's, else that of the nearest earlier window."""
    earlier = [key for key in windows(stage.config) if key <= stage.window]
    for window in reversed(earlier):
        if store.exists(stage.config.name, window, name):
            damage = store.fault(stage.config.name, window, name)
            if damage:
                LOG.warning(
                    "%s of %s %s %s: none of its rows is taken over", name, stage.config.name, window, damage
                )
                continue
            directory = store.read(stage.config.name, window, name).directory
            if (directory / SUMMARY).is_file():
                return PreviousExtraction.read(directory)
    return None
