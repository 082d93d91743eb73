"""`eval.metrics`: means over users with their intervals, and metrics over all users. Made by the metrics stage."""

from mrs_pipeline.metrics.registry import METRICS as KNOWN
from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import RANKED_BY
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.metric_bounds import OUTSIDE, bounds, number_literal

METRICS_TABLE = TableSchema(
    path="eval/metrics",
    description="One metric of one model, seed and slice.",
    columns=listed_columns(
        "slice",
        "protocol",
        "metric",
        "k",
        "users",
        "value",
        "ci_low",
        "ci_high",
        "chance",
        "candidates",
        "ranked_by",
        "seed",
        "data_digest",
        "code_digest",
        "seconds_evaluation",
    ),
    lineage={
        "users": (("eval/user_metrics", "user"),),
        "value": (("eval/user_metrics", "value"),),
        "ci_low": (("eval/user_metrics", "value"),),
        "ci_high": (("eval/user_metrics", "value"),),
        "candidates": (("core/items", "is_candidate"),),
    },
)


def suites(metrics: str) -> list[Suite]:
    """What must hold of a model's metrics.

    Args:
        metrics: what to put after FROM to read the partition.
    """
    return [_values(metrics), _growing(metrics)]


def _values(metrics: str) -> Suite:
    return Suite(
        f"SELECT seed, slice, metric, k, users, value, ranked_by, {OUTSIDE}, "
        "least(value - ci_low, ci_high - value) AS inside "
        f"FROM {metrics} AS rows LEFT JOIN {bounds()} USING (metric)",
        [
            expect.not_null("value", "every metric is a number"),
            expect.no_offender("outside", "every metric lies in its range"),
            expect.between("inside", -1e-9, None, "intervals enclose their mean"),
            expect.between("users", 1, None, "every metric is over at least one user"),
            expect.one_of("ranked_by", [*RANKED_BY], "lists come from the model, a history or popularity"),
            expect.unique_together(["seed", "slice", "metric", "k"], "no metric stands there twice"),
        ],
    )


def _growing(metrics: str) -> Suite:
    names = ", ".join(number_literal(metric.name) for metric in KNOWN.values() if metric.grows)
    return Suite(
        "SELECT value - lag(value) OVER (PARTITION BY seed, slice, metric ORDER BY k) AS gain "
        f"FROM {metrics} WHERE metric IN ({names})",
        [expect.between("gain", -1e-9, None, "what a longer list can only raise does not fall with k")],
    )
