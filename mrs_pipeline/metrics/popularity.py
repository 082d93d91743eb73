"""Average recommendation popularity: how many users already have what is recommended.

Each list holds one item with one training user and one with none.

>>> from mrs_pipeline.metrics.example import two_users
>>> POPULARITY.per_user(two_users(), 2)
array([0.5, 0.5])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence, Values


def _popularity(evidence: Evidence, k: int) -> Values:
    return evidence.mean_over_list(evidence.item_counts.astype(np.float64), k)


POPULARITY = Metric(
    name="popularity",
    title="Average recommendation popularity (ARP)",
    formula="mean over the first k of the item's training users",
    source="Yin et al.: Challenging the long tail recommendation, VLDB 2012",
    high=float("inf"),
    better="neither",
    per_user=_popularity,
    needs=frozenset({Need.LISTS}),
    unit="training users",
    note="As RecTools' AvgRecPopularity.",
)
