"""Mean average precision: precision at each hit, averaged.

User 0 has hits at places 1 and 3: (1/1 + 2/3) / 2. User 1 has one at place 2: (1/2) / 1.

>>> from mrs_pipeline.metrics.example import two_users
>>> MAP.per_user(two_users(), 3).round(4)
array([0.8333, 0.5   ])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _average_precision(evidence: Evidence, k: int) -> Values:
    precision = evidence.order / evidence.ranks
    return evidence.total(precision * evidence.inside(k)) / np.minimum(evidence.relevant, k)


MAP = Metric(
    name="map",
    title="Mean average precision",
    formula="sum over hits of (hits up to its place / its place), / min(n, k); n relevant items",
    source="Manning, Raghavan, Schütze: Introduction to Information Retrieval (2008), chapter 8",
    per_user=_average_precision,
    accuracy=True,
    note="Divided by min(n, k), so that a perfect list of k reaches 1. ranx and RecTools divide by n: their value is "
    "this one times min(n, k) / n, and differs for users with more than k relevant items.",
)
