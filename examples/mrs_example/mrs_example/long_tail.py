"""Share of the lists that is in the long tail: items that few training users have."""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence, Values

FEW = 5
"""Training users of an item of the tail, at most."""


def _long_tail(evidence: Evidence, k: int) -> Values:
    return evidence.mean_over_list((evidence.item_counts <= FEW).astype(np.float64), k)


LONG_TAIL = Metric(
    name="long_tail",
    title="Share of the long tail",
    formula=f"share of the first k items that at most {FEW} training users have",
    source="an example",
    better="neither",
    per_user=_long_tail,
    needs=frozenset({Need.LISTS}),
)
