"""Mean reciprocal rank: how high the first relevant item stands.

The first relevant items stand at places 1 and 2.

>>> from mrs_pipeline.metrics.example import two_users
>>> MRR.per_user(two_users(), 2)
array([1. , 0.5])
"""

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _reciprocal_rank(evidence: Evidence, k: int) -> Values:
    return evidence.total((evidence.inside(k) & (evidence.order == 1)) / evidence.ranks)


MRR = Metric(
    name="mrr",
    title="Mean reciprocal rank",
    formula="1 / place of the first relevant item; 0 if it stands below k",
    source="Voorhees: The TREC-8 question answering track report (1999)",
    per_user=_reciprocal_rank,
    accuracy=True,
    grows=True,
)
