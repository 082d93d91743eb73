"""`raw.items`: the catalogue as read. Made by `ingest`; attributes of any name follow as text."""

from typing import Final

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema
from mrs_pipeline.tables.columns import listed_columns

MEDIA: Final = ("image", "audio", "video")

RAW_ITEMS_TABLE = TableSchema(
    path="raw/items",
    description="One item of the source's catalogue.",
    columns=listed_columns(
        "item_id",
        "title",
        "description",
        "image",
        "audio",
        "video",
        "first_seen",
    ),
    open=True,
)

_OUTSIDE = r"^([/\\]|[A-Za-z]:|$)|(^|[/\\])\.\.([/\\]|$)"
"""A path that is empty, absolute, or steps up."""


def suites(items: str) -> list[Suite]:
    """What must hold of the catalogue.

    Args:
        items: what to put after FROM to read the partition.
    """
    return [
        Suite(
            f"SELECT item_id, {', '.join(MEDIA)} FROM {items}",
            [
                expect.some_rows("the catalogue is not empty"),
                expect.not_null("item_id", "every item has an id"),
                expect.unique("item_id", "no item stands there twice"),
                *(
                    expect.no_match(medium, _OUTSIDE, f"no {medium} lies outside the source's folder")
                    for medium in MEDIA
                ),
            ],
        )
    ]
