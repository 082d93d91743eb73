"""Serendipity: hits that popularity would not have put there.

User 0: item 2 in place 1 of 5, second by popularity: (1 - 4/5) / 2. User 1: item 3 in place 2, without a
training user: (4/5 - 0) / 2.

>>> from mrs_pipeline.metrics.example import two_users
>>> SERENDIPITY.per_user(two_users(), 2).round(4)
array([0.1, 0.4])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _serendipity(evidence: Evidence, k: int) -> Values:
    n = max(evidence.catalogue, 1)
    counts = evidence.item_counts
    levels = np.unique(counts[counts > 0])  # ascending, so the most popular one comes last
    place = len(levels) - np.searchsorted(levels, counts)
    expected = np.where(counts > 0, (n + 1 - place) / n, 0.0)
    own = (n + 1 - evidence.ranks) / n
    unexpected = np.maximum(own - expected[evidence.items], 0.0)
    return evidence.total(unexpected * evidence.inside(k)) / np.minimum(evidence.candidates, k)


SERENDIPITY = Metric(
    name="serendipity",
    title="Serendipity",
    formula="sum over hits of max(P_user − P_any, 0) / list length; P_user = (N + 1 − place) / N, "
    "P_any = (N + 1 − q) / N; N candidates, q the item's place by popularity, shared by items "
    "with equally many training users",
    source="Ge, Delgado-Battenfeld, Jannach: Beyond accuracy, RecSys 2010, in the form that RecTools computes",
    per_user=_serendipity,
    note="P_any is 0 for items without a training user. As RecTools' Serendipity.",
)
