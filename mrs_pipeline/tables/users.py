"""`core.users`: the dense number of each user. Built by `core`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.dense import dense_suite

USERS = TableSchema(
    path="core/users",
    description="One user with at least one interaction in the history.",
    columns=listed_columns(
        "user:numbered",
        "user_id",
    ),
    lineage={
        "user": (("raw/interactions", "user_id"),),
        **copied("raw/interactions", "user_id"),
    },
)


def suites(users: str) -> list[Suite]:
    """What must hold of the numbering.

    Args:
        users: what to put after FROM to read the partition.
    """
    return [
        Suite(
            f'SELECT "user", user_id FROM {users}',
            [
                expect.not_null("user_id", "every user has an id"),
                expect.unique("user_id", "no user id has two numbers"),
            ],
        ),
        dense_suite(users, "user"),
    ]
