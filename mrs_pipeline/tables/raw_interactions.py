"""`raw.interactions`: the event log as read, one partition a window. Made by `ingest`; typed, not judged."""

from datetime import datetime, timedelta
from typing import Final

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.schema import SPLIT_LABELS
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

FIRST_MOMENT: Final = datetime(1970, 1, 1)
CLOCK_TOLERANCE: Final = timedelta(days=1)
"""How far a source's clock may run ahead, or its time zone be mistaken."""
USUAL_SHARE: Final = 0.5
"""Rows without an id or with an impossible time go to quarantine; where most are so, the wrong column was read."""

RAW_INTERACTIONS_TABLE = TableSchema(
    path="raw/interactions",
    description="One row of the source's event log.",
    columns=listed_columns(
        "user_id:raw", "item_id:raw", "timestamp", "rating", "split:source", "source_file", "source_row"
    ),
)


def suites(interactions: str, now: datetime) -> list[Suite]:
    """What must hold of a window's raw rows, however few they are.

    Args:
        interactions: what to put after FROM to read the partition.
        now: moment (UTC, without zone) after which nothing can have happened yet.
    """
    return [
        Suite(
            f"SELECT user_id, item_id, timestamp, rating, split, source_row FROM {interactions}",
            [
                expect.not_null("user_id", "most interactions name their user", mostly=USUAL_SHARE),
                expect.not_null("item_id", "most interactions name their item", mostly=USUAL_SHARE),
                expect.between("timestamp", FIRST_MOMENT, None, "most happened after 1970", USUAL_SHARE),
                expect.between(
                    "timestamp", None, now + CLOCK_TOLERANCE, "most happened in the past", USUAL_SHARE
                ),
                expect.between("rating", -1e12, 1e12, "ratings are ordinary numbers"),
                expect.one_of("split", list(SPLIT_LABELS), "given splits are train, valid or test"),
                expect.between("source_row", 1, None, "every interaction knows its row in the source"),
            ],
        )
    ]
