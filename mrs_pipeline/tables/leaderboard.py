"""`eval.leaderboard`: models ranked inside each protocol and window. Made by `reporting`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.statistics import ALPHA
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

LEADERBOARD_TABLE = TableSchema(
    path="eval/leaderboard",
    description="One model in one window under one protocol, best first; metrics and costs as columns.",
    columns=listed_columns(
        "rank",
        "protocol",
        "window:scored",
        "model",
        "stale",
        "interval_over",
        "trials",
        "recall@20",
        "ndcg@20",
    ),
    lineage={
        "recall@20": (("eval/metrics", "value"),),
        "ndcg@20": (("eval/metrics", "value"),),
        "protocol": (("eval/metrics", "protocol"),),
        "stale": (("eval/metrics", "data_digest"),),
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
            '(PARTITION BY protocol, "window", stale ORDER BY rank) AS gain, '
            "CASE WHEN stale AND rank IS NOT NULL THEN model END AS ranked_stale, "
            f"CASE WHEN (best_low > 0 OR best_high < 0) <> (best_p < {ALPHA}) THEN model END AS discord, "
            'least("recall@20_ci_low", 1 - "recall@20_ci_high") AS inside '
            f"FROM {leaderboard}",
            [
                expect.between("rank", 1, None, "ranks begin at 1"),
                expect.no_offender("ranked_stale", "no model measured on other data is ranked"),
                expect.no_offender("discord", "a difference excludes 0 exactly where its p is below .05"),
                expect.between("inside", 0, None, "intervals of recall lie between 0 and 1"),
                expect.between("recall@20", 0, 1, "recall lies between 0 and 1"),
                expect.unique_together(["protocol", "window", "model"], "no model is ranked twice"),
                expect.between("gain", None, 0, "no model stands above a better one"),
            ],
        )
    ]
