"""Novelty: how surprising an item's presence is, given how many users have it.

Items with one training user of three: log2(3) bits each; item 3 has none and counts as one.

>>> from mrs_pipeline.metrics.example import two_users
>>> NOVELTY.per_user(two_users(), 2).round(4)
array([1.585, 1.585])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence, Values


def _novelty(evidence: Evidence, k: int) -> Values:
    share = np.maximum(evidence.item_counts, 1) / max(evidence.background.n_users, 1)
    return evidence.mean_over_list(-np.log2(share), k)


NOVELTY = Metric(
    name="novelty",
    title="Novelty (mean self-information)",
    formula="mean over the first k of −log2(training users of the item / training users)",
    source="Zhou et al.: Solving the apparent diversity-accuracy dilemma, PNAS 107 (2010)",
    high=float("inf"),
    better="neither",
    per_user=_novelty,
    needs=frozenset({Need.LISTS}),
    unit="bits",
    note="An item without a training user counts as one that a single user has, as in RecTools' MeanInvUserFreq.",
)
