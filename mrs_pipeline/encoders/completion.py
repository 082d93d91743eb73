"""What models receive where an item lacks a modality: the dataset's `missing` strategy put to work.

The strategies are `encoders.missing`. Training interactions only, so that nothing held out can leak into a filled row.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mrs_pipeline.encoders.missing import fill_from_neighbours, fill_mean, fill_zero, propagate
from mrs_pipeline.types import FeatureMatrix, Interactions


def complete(
    features: Mapping[str, FeatureMatrix], strategy: str, train: Interactions
) -> dict[str, FeatureMatrix]:
    """Modality -> feature set with its missing rows filled, each from the observed rows alone.

    Args:
        features: modality -> feature set.
        strategy: `DatasetConfig.missing`.
        train: the training interactions.
    """
    return {modality: _completed(features, modality, strategy, train) for modality in features}


def _completed(
    features: Mapping[str, FeatureMatrix], modality: str, strategy: str, train: Interactions
) -> FeatureMatrix:
    own = features[modality]
    match strategy:
        case "mask":
            return own
        case "zero":  # unlike with a mask, the zeros count as content
            return replace(own, values=fill_zero(own).values, present=np.ones_like(own.present))
        case "mean":
            return fill_mean(own).as_features(own.name)
        case "neighbours":
            return fill_from_neighbours(own, _fullest(features, modality)).as_features(own.name)
        case "propagate":
            return propagate(own, train).as_features(own.name)
    raise ValueError(f"no strategy is called {strategy}")


def _fullest(features: Mapping[str, FeatureMatrix], modality: str) -> FeatureMatrix:
    """Of the other modalities the one that most items have."""
    others = [matrix for name, matrix in sorted(features.items()) if name != modality]
    return max(others, key=lambda matrix: int(matrix.present.sum()))
