"""Area under the ROC curve of each user's ranking, from the places alone.

User 0: of the pairs (2, 3) and (4, 3) the first is right. User 1: item 3 stands above two of three others.

>>> from mrs_pipeline.metrics.example import two_users
>>> AUC.per_user(two_users(), 0).round(4)
array([0.5   , 0.6667])
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values, divided


def user_auc(evidence: Evidence, _k: int = 0) -> Values:
    """[B] share of pairs (relevant, other) in which the relevant item stands higher; NaN without a pair.

    Below the p-th relevant item, at place r, stand C - r items, n - p of them relevant.
    """
    n, candidates = evidence.relevant, evidence.candidates
    below = (candidates - n)[evidence.rows] - evidence.ranks + evidence.order
    return divided(evidence.total(below.astype(np.float64)), n * (candidates - n))


def _chance(evidence: Evidence, _k: int) -> Values:
    return np.full(evidence.n_rows, 0.5)


AUC = Metric(
    name="auc",
    title="Area under the ROC curve",
    formula="share of pairs (relevant item, other candidate) in which the relevant one stands higher",
    source="Rendle et al.: BPR, UAI 2009, section 4.1; Hanley, McNeil, Radiology 143 (1982)",
    per_user=user_auc,
    chance=_chance,
    accuracy=True,
    cutoff=False,
    note="Over the whole ranking, so without a cut-off. Equal scores are ordered by lot, not counted half. Not "
    "defined for a user whose candidates are all relevant. Its mean is GAUC with equal weights.",
)
