"""Normalised discounted cumulative gain: hits count less the lower they stand.

User 0 has a hit at place 1 where 1 and 2 were possible, user 1 at place 2 where 1 was.

>>> from mrs_pipeline.metrics.example import two_users
>>> NDCG.per_user(two_users(), 2).round(4)
array([0.6131, 0.6309])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _ndcg(evidence: Evidence, k: int) -> Values:
    gain = 1 / np.log2(evidence.ranks + 1.0)
    best: Values = _sums(k)[np.minimum(evidence.relevant, k) - 1]
    return evidence.total(gain * evidence.inside(k)) / best


def _chance(evidence: Evidence, k: int) -> Values:
    """Each place holds a relevant item with probability n / candidates."""
    sums = _sums(k)
    expected = sums[np.minimum(evidence.candidates, k) - 1] * evidence.relevant / evidence.candidates
    return np.asarray(expected / sums[np.minimum(evidence.relevant, k) - 1], np.float64)


def _sums(k: int) -> Values:
    """[k] the discounts of the first 1, 2, ..., k places together."""
    return np.cumsum(1 / np.log2(np.arange(2.0, k + 2.0)))


NDCG = Metric(
    name="ndcg",
    title="Normalised discounted cumulative gain",
    formula="sum over hits of 1 / log2(place + 1), over the same sum for places 1 to min(n, k); n relevant items",
    source="Järvelin, Kekäläinen: Cumulated gain-based evaluation of IR techniques, ACM TOIS 20 (2002)",
    per_user=_ndcg,
    chance=_chance,
    accuracy=True,
)
