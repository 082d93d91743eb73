"""Precision: the share of the list that is relevant.

One of two places each.

>>> from mrs_pipeline.metrics.example import two_users
>>> PRECISION.per_user(two_users(), 2)
array([0.5, 0.5])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _precision(evidence: Evidence, k: int) -> Values:
    return evidence.found(k) / k


def _chance(evidence: Evidence, k: int) -> Values:
    return evidence.relevant / evidence.candidates * np.minimum(k, evidence.candidates) / k


PRECISION = Metric(
    name="precision",
    title="Precision",
    formula="hits among the first k / k",
    source="Manning, Raghavan, Schütze: Introduction to Information Retrieval (2008), chapter 8",
    per_user=_precision,
    chance=_chance,
    accuracy=True,
    note="Divided by k also where a user has fewer candidates than k.",
)
