"""Catalogue coverage: how much of what may be recommended is recommended to anyone.

Items 1, 2 and 3 of five stand in the first two places.

>>> from mrs_pipeline.metrics.example import two_users
>>> print(COVERAGE.overall(two_users(), 2))
0.6
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence


def _coverage(evidence: Evidence, k: int) -> float:
    seen = np.count_nonzero(evidence.shown(k))
    return seen / evidence.catalogue if evidence.catalogue else float("nan")


COVERAGE = Metric(
    name="coverage",
    title="Catalogue coverage",
    formula="different items in the first k places of all lists / candidates",
    source="Ge, Delgado-Battenfeld, Jannach: Beyond accuracy, RecSys 2010",
    overall=_coverage,
    needs=frozenset({Need.LISTS}),
    grows=True,
    note="Of the lists of test users. It grows with the number of users: compare over the same ones.",
)
