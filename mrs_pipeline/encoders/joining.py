"""Several feature sets as the content of one modality: side by side, each at the same average length."""

from collections.abc import Sequence

import numpy as np

from mrs_pipeline.types import FeatureMatrix


def join(sets: Sequence[FeatureMatrix]) -> FeatureMatrix:
    """The sets concatenated, [I, F1 + F2 + ...] float32; a single one is returned as it is.

    Each set is divided by the mean length of its present rows, so that none decides cosines by its scale. An item is
    present where every set has it: a part of zeros would count as content.

    Args:
        sets: at least one, all of the same items.
    """
    if len(sets) == 1:
        return sets[0]
    present = np.logical_and.reduce([each.present for each in sets])
    values = np.zeros((len(present), sum(each.values.shape[1] for each in sets)), np.float32)
    start = 0
    for each in sets:
        width = each.values.shape[1]
        part = values[:, start : start + width]
        part[present] = each.values[present]
        length = float(np.linalg.norm(part[present], axis=1).mean()) if present.any() else 0.0
        if length > 0:
            part /= length
        start += width
    return FeatureMatrix(values, present, " + ".join(each.name for each in sets))
