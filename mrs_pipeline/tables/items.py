"""`core.items`: the dense number of each item, with all that the catalogue says of it. Built by `core`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import TableSchema, copied
from mrs_pipeline.tables.columns import listed_columns
from mrs_pipeline.tables.dense import dense_suite
from mrs_pipeline.tables.raw_items import RAW_ITEMS_TABLE

ITEMS = TableSchema(
    path="core/items",
    description="One item of the catalogue as it was known at the window; row i is item i.",
    columns=listed_columns(
        "item:numbered",
        "item_id",
        "is_cold",
        "is_candidate",
        "title",
        "description",
        "image",
        "audio",
        "video",
        "first_seen",
    ),
    lineage={
        "item": (("raw/interactions", "item_id"), ("raw/items", "item_id")),
        "is_cold": (("raw/interactions", "timestamp"),),
        "is_candidate": (("raw/interactions", "timestamp"), ("raw/items", "first_seen")),
        **copied("raw/items", *RAW_ITEMS_TABLE.columns),
    },
    open=True,
)


def suites(items: str) -> list[Suite]:
    """What must hold of the numbering.

    Args:
        items: what to put after FROM to read the partition.
    """
    return [
        Suite(
            f"SELECT item, item_id, is_cold, is_candidate FROM {items}",
            [
                expect.not_null("item_id", "every item has an id"),
                expect.unique("item_id", "no item id has two numbers"),
                expect.not_null("is_cold", "every item is warm or cold"),
                expect.not_null("is_candidate", "every item is ranked in tests or not"),
            ],
        ),
        dense_suite(items, "item"),
        Suite(
            f"SELECT item AS misplaced FROM {items} WHERE NOT is_cold AND item > "
            f"(SELECT min(item) FROM {items} WHERE is_cold)",
            [expect.no_row("cold items are numbered after all warm ones")],
        ),
        Suite(
            f"SELECT item FROM {items} WHERE NOT is_cold AND NOT is_candidate",
            [expect.no_row("every warm item is a candidate")],
        ),
    ]
