"""`eval.user_metrics`: what each test user's list was worth. Made by the metrics stage."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.metric_bounds import OUTSIDE, bounds

USER_METRICS_TABLE = TableSchema(
    path="eval/user_metrics",
    description="One metric of one user's ranked list.",
    columns=listed_columns(
        "user",
        "slice",
        "metric",
        "k",
        "value:user",
        "seed",
    ),
    lineage={
        **copied("core/splits", "user"),
        "value": tuple(("core/splits", column) for column in ("user", "item", "split")),
    },
)

KEY = ("seed", "slice", "metric", "k", "user")


def suites(user_metrics: str, users: str) -> list[Suite]:
    """What must hold of the users' metrics.

    Args:
        user_metrics: what to put after FROM to read the partition.
        users: the same for `core.users`.
    """
    return [
        Suite(
            f'SELECT value, {OUTSIDE}, CASE WHEN users.user_id IS NULL THEN rows."user" END AS stranger, {_columns()} '
            f'FROM {user_metrics} AS rows LEFT JOIN {users} AS users USING ("user") '
            f"LEFT JOIN {bounds()} USING (metric)",
            [
                expect.not_null("value", "every user's metric is a number"),
                expect.no_offender("outside", "every user's metric lies in its range"),
                expect.no_offender("stranger", "every user is one of core.users"),
                expect.unique_together(list(KEY), "no user is measured twice"),
            ],
        )
    ]


def _columns() -> str:
    return ", ".join(f'rows."{column}"' for column in KEY)
