"""`eval.metrics`: means over users, with their intervals. Made by the metrics stage."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import Column, TableSchema

METRICS = TableSchema(
    path="eval/metrics",
    description="One metric of one model, seed and slice.",
    columns={
        "slice": Column("VARCHAR", "Which test items count: all, warm or cold."),
        "protocol": Column(
            "VARCHAR", "The rules behind the number; numbers of other rules are not comparable."
        ),
        "metric": Column("VARCHAR", "recall, ndcg, precision, map, mrr or hit."),
        "k": Column("BIGINT", "Length of the list."),
        "users": Column("BIGINT", "Users that the mean is taken over."),
        "value": Column("DOUBLE", "Mean over users, between 0 and 1."),
        "ci_low": Column("DOUBLE", "Lower end of the 95 % interval over users."),
        "ci_high": Column("DOUBLE", "Upper end of the 95 % interval over users."),
        "seed": Column("BIGINT", "Seed of the model's training."),
        "data_digest": Column("VARCHAR", "Digest of the split that was measured on."),
        "code_digest": Column("VARCHAR", "Version of the code that measured."),
        "seconds_evaluation": Column("DOUBLE", "Seconds that ranking and measuring took, mean over seeds."),
    },
    lineage={
        "users": (("eval/user_metrics", "user"),),
        "value": (("eval/user_metrics", "value"),),
        "ci_low": (("eval/user_metrics", "value"),),
        "ci_high": (("eval/user_metrics", "value"),),
    },
)

_RISING = ("recall", "hit")
"""Metrics that a longer list can only raise."""


def suites(metrics: str) -> list[Suite]:
    """What must hold of a model's metrics.

    Args:
        metrics: what to put after FROM to read the partition.
    """
    return [_values(metrics), _rising(metrics)]


def _values(metrics: str) -> Suite:
    return Suite(
        f"SELECT seed, slice, metric, k, users, value, least(value - ci_low, ci_high - value) AS inside "
        f"FROM {metrics}",
        [
            expect.not_null("value", "every metric is a number"),
            expect.between("value", 0, 1, "metrics lie between 0 and 1"),
            expect.between("inside", -1e-9, None, "intervals enclose their mean"),
            expect.between("users", 1, None, "every mean is over at least one user"),
            expect.unique_together(["seed", "slice", "metric", "k"], "no metric stands there twice"),
        ],
    )


def _rising(metrics: str) -> Suite:
    names = ", ".join(f"'{name}'" for name in _RISING)
    return Suite(
        "SELECT value - lag(value) OVER (PARTITION BY seed, slice, metric ORDER BY k) AS gain "
        f"FROM {metrics} WHERE metric IN ({names})",
        [expect.between("gain", -1e-9, None, "recall and hit do not fall with k")],
    )
