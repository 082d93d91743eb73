"""Intra-list diversity: how unlike each other the items of a list are, by their content.

Items 2 and 3 look alike, items 1 and 3 have nothing in common.

>>> from mrs_pipeline.metrics.example import two_users
>>> DIVERSITY.per_user(two_users(), 2)
array([0., 1.])
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence, Values, divided
from mrs_pipeline.types import FeatureMatrix

_AT_ONCE = 2**24
"""Numbers that stand in memory together: 64 MB of float32."""


def _diversity(evidence: Evidence, k: int) -> Values:
    top = evidence.top(k)
    matrices = [_unit_rows(matrix, top) for matrix in evidence.background.facts.features.values()]
    result = np.empty(len(top))
    for rows in _chunks(len(top), top.shape[1], max((len(unit[0]) for unit, _ in matrices), default=1)):
        lists = top[rows]
        total = np.zeros((*lists.shape, lists.shape[1]), np.float32)
        modalities = np.zeros(total.shape, np.float32)
        for unit, place in matrices:
            chosen = unit[place[lists]]  # [b, k, F]; row 0 is all zeros
            known = (place[lists] > 0).astype(np.float32)
            total += chosen @ chosen.transpose(0, 2, 1)
            modalities += known[:, :, None] * known[:, None, :]
        result[rows] = _mean_distance(total, modalities)
    return result


def _mean_distance(total: npt.NDArray[np.float32], modalities: npt.NDArray[np.float32]) -> Values:
    """[b] mean of 1 - cosine over the pairs above the diagonal that share a modality."""
    upper = np.triu_indices(total.shape[1], 1)
    shared = modalities[:, *upper]
    cosine = divided(total[:, *upper].astype(np.float64), shared)
    compared = (shared > 0).sum(1)
    return divided(np.nansum(1 - cosine, axis=1), compared)


def _unit_rows(
    matrix: FeatureMatrix, lists: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Rows of length 1 of the listed items [n + 1, F], zeros first, and [I + 1] where each item's is; 0 for none."""
    listed = np.unique(lists[lists >= 0])
    values = np.asarray(matrix.values[listed], np.float32)
    length = np.linalg.norm(values, axis=1)
    kept = np.asarray(matrix.present)[listed] & (length > 0)
    unit = np.zeros((int(kept.sum()) + 1, matrix.values.shape[1]), np.float32)
    unit[1:] = values[kept] / length[kept, None]
    place = np.zeros(len(matrix.present) + 1, np.int64)  # the last stands for -1, the end of a list
    place[listed[kept]] = np.arange(1, len(unit))
    return unit, place


def _chunks(n_rows: int, length: int, width: int) -> Iterator[slice]:
    size = max(1, _AT_ONCE // max(1, length * (width + 2 * length)))
    for start in range(0, n_rows, size):
        yield slice(start, start + size)


DIVERSITY = Metric(
    name="diversity",
    title="Intra-list diversity",
    formula="mean over pairs of the first k of 1 − cosine; the cosine is the mean over the modalities that both have",
    source="Ziegler et al.: Improving recommendation lists through topic diversification, WWW 2005",
    high=2.0,
    per_user=_diversity,
    needs=frozenset({Need.LISTS, Need.FEATURES}),
    note="In the space of the dataset's own feature sets, whatever the model reads. Pairs without a common modality "
    "are left out; not defined for a list with no such pair. Comparable between models, not between feature sets.",
)
