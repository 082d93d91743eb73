"""Popularity lift: how much more popular than users' own items the recommended ones are.

Lists have .5 training users on average; what the users had, 2 and 3.

>>> from mrs_pipeline.metrics.example import two_users
>>> POPULARITY_LIFT.overall(two_users(), 2)
-0.8
"""

import numpy as np

from mrs_pipeline.metrics.base import Metric, Need
from mrs_pipeline.metrics.evidence import Evidence, divided, weighted_counts


def _popularity_lift(evidence: Evidence, k: int) -> float:
    counts = evidence.item_counts.astype(np.float64)
    offered = evidence.mean_over_list(counts, k)
    profiles = evidence.profiles
    total = weighted_counts(profiles.rows, counts[profiles.values], evidence.n_rows)
    had = divided(total, np.diff(profiles.starts))
    both = ~(np.isnan(offered) | np.isnan(had))
    if not both.any():
        return float("nan")
    return float(offered[both].mean() / had[both].mean() - 1)


POPULARITY_LIFT = Metric(
    name="popularity_lift",
    title="Popularity lift",
    formula="(GAP of the lists − GAP of the profiles) / GAP of the profiles; GAP: mean over users of the mean number "
    "of training users of their items",
    source="Abdollahpouri et al.: The unfairness of popularity bias in recommendation, RMSE workshop, RecSys 2019",
    low=-1.0,
    high=float("inf"),
    better="neither",
    overall=_popularity_lift,
    needs=frozenset({Need.LISTS}),
    note="0: as popular as what users had in training; 1: twice as popular. Over test users with a training item.",
)
