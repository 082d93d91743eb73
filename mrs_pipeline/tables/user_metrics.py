"""`eval.user_metrics`: what each test user's list was worth. Made by the metrics stage."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import Column, TableSchema, copied

USER_METRICS = TableSchema(
    path="eval/user_metrics",
    description="One metric of one user's ranked list.",
    columns={
        "user": Column("BIGINT", "Dense number of the user."),
        "slice": Column("VARCHAR", "Which test items count: all, warm or cold."),
        "metric": Column("VARCHAR", "recall, ndcg, precision, map, mrr or hit."),
        "k": Column("BIGINT", "Length of the list."),
        "value": Column("FLOAT", "Value between 0 and 1."),
        "seed": Column("BIGINT", "Seed of the model's training."),
    },
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
            f'SELECT value, CASE WHEN users.user_id IS NULL THEN rows."user" END AS stranger, {_columns()} '
            f'FROM {user_metrics} AS rows LEFT JOIN {users} AS users USING ("user")',
            [
                expect.not_null("value", "every user's metric is a number"),
                expect.between("value", 0, 1, "users' metrics lie between 0 and 1"),
                expect.no_offender("stranger", "every user is one of core.users"),
                expect.unique_together(list(KEY), "no user is measured twice"),
            ],
        )
    ]


def _columns() -> str:
    return ", ".join(f'rows."{column}"' for column in KEY)
