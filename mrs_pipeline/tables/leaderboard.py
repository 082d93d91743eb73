"""`eval.leaderboard`: models ranked inside each protocol and window. Made by `reporting`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import Column, TableSchema

LEADERBOARD = TableSchema(
    path="eval/leaderboard",
    description="One model in one window under one protocol, best first; metrics and costs as columns.",
    columns={
        "rank": Column("BIGINT", "Place inside the protocol and window, from 1."),
        "protocol": Column(
            "VARCHAR", "The rules behind the numbers; rows of other rules are not comparable."
        ),
        "window": Column("VARCHAR", "The window that was scored."),
        "model": Column("VARCHAR", "Name of the model."),
        "recall@20": Column(
            "DOUBLE", "Mean over seeds of recall at 20, over all items; it decides the rank."
        ),
        "ndcg@20": Column("DOUBLE", "Mean over seeds of ndcg at 20, over all items."),
    },
    lineage={
        "recall@20": (("eval/metrics", "value"),),
        "ndcg@20": (("eval/metrics", "value"),),
        "protocol": (("eval/metrics", "protocol"),),
    },
    open=True,
)


def suites(leaderboard: str) -> list[Suite]:
    """What must hold of the ranking.

    Args:
        leaderboard: what to put after FROM to read the table.
    """
    return [
        Suite(
            'SELECT rank, protocol, "window", model, "recall@20", "recall@20" - lag("recall@20") OVER '
            f'(PARTITION BY protocol, "window" ORDER BY rank) AS gain FROM {leaderboard}',
            [
                expect.between("rank", 1, None, "ranks begin at 1"),
                expect.between("recall@20", 0, 1, "recall lies between 0 and 1"),
                expect.unique_together(["protocol", "window", "model"], "no model is ranked twice"),
                expect.between("gain", None, 0, "no model stands above a better one"),
            ],
        )
    ]
