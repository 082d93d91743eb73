"""Hit rate: whether the list holds anything relevant.

Only user 0 has a relevant item in first place.

>>> from mrs_pipeline.metrics.example import two_users
>>> HIT.per_user(two_users(), 1)
array([1., 0.])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _hit(evidence: Evidence, k: int) -> Values:
    return (evidence.found(k) > 0).astype(np.float64)


def _chance(evidence: Evidence, k: int) -> Values:
    """No relevant item among k drawn without replacement: the hypergeometric distribution at 0."""
    from scipy import stats

    places = np.minimum(k, evidence.candidates)
    return np.asarray(stats.hypergeom.sf(0, evidence.candidates, evidence.relevant, places), np.float64)


HIT = Metric(
    name="hit",
    title="Hit rate",
    formula="1 if the first k hold a relevant item, else 0",
    source="Deshpande, Karypis: Item-based top-N recommendation algorithms, ACM TOIS 22 (2004)",
    per_user=_hit,
    chance=_chance,
    accuracy=True,
    grows=True,
)
