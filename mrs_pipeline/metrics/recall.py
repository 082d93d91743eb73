"""Recall: the share of a user's relevant items that the list holds.

Of its two relevant items user 0 finds one among the first two, user 1 its only one.

>>> from mrs_pipeline.metrics.example import two_users
>>> RECALL.per_user(two_users(), 2)
array([0.5, 1. ])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _recall(evidence: Evidence, k: int) -> Values:
    return evidence.found(k) / evidence.relevant


def _chance(evidence: Evidence, k: int) -> Values:
    return np.minimum(k, evidence.candidates) / evidence.candidates


RECALL = Metric(
    name="recall",
    title="Recall",
    formula="hits among the first k / relevant items",
    source="Manning, Raghavan, Schütze: Introduction to Information Retrieval (2008), chapter 8",
    per_user=_recall,
    chance=_chance,
    accuracy=True,
    grows=True,
)
