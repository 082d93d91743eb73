"""Recall: the share of a user's relevant items that the list holds."""

from mrs_pipeline.metrics.base import Metric
from mrs_pipeline.metrics.evidence import Evidence, Values


def _recall(evidence: Evidence, k: int) -> Values:
    return evidence.found(k) / evidence.relevant


RECALL = Metric(
    name="recall",
    title="Recall",
    formula="hits among the first k / relevant items",
    source="Manning, Raghavan, Schütze: Introduction to Information Retrieval (2008), chapter 8",
    per_user=_recall,
    accuracy=True,
    grows=True,
)
