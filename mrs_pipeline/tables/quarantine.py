"""`core.quarantine`: every raw row that does not count, with its reason. Built by `core`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.core import REASONS
from mrs_pipeline.tables.raw_interactions import RAW_INTERACTIONS_TABLE

QUARANTINE_TABLE = TableSchema(
    path="core/quarantine",
    description="One raw interaction that does not count, and why.",
    columns={**RAW_INTERACTIONS_TABLE.columns, **listed_columns("reason")},
    lineage=copied("raw/interactions", *RAW_INTERACTIONS_TABLE.columns),
)


def suites(quarantine: str, interactions: str, raw_interactions: str) -> list[Suite]:
    """What must hold of the rejected rows: a reason each, and none lost between raw and core.

    Args:
        quarantine: what to put after FROM to read the partition.
        interactions: the same for `core.interactions`.
        raw_interactions: the same for the raw rows that both were made from.
    """
    return [
        Suite(
            f"SELECT reason FROM {quarantine}",
            [
                expect.not_null("reason", "every rejected row has a reason"),
                expect.one_of("reason", list(REASONS), "every reason is a known one"),
            ],
        ),
        Suite(
            f"SELECT (SELECT count(*) FROM {raw_interactions}) - (SELECT count(*) FROM {interactions}) "
            f"- (SELECT count(*) FROM {quarantine}) AS unaccounted",
            [expect.one_of("unaccounted", [0], "every raw row is either kept or in quarantine")],
        ),
    ]
