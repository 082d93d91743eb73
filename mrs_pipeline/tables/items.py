"""`core.items`: the dense number of each item, with all that the catalogue says of it. Built by `core`."""

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Suite
from mrs_pipeline.tables.base import Column, TableSchema, copied
from mrs_pipeline.tables.dense import dense_suite
from mrs_pipeline.tables.raw_items import RAW_ITEMS

ITEMS = TableSchema(
    path="core/items",
    description="One item of the catalogue that somebody interacted with; row i is item i.",
    columns={
        "item": Column("BIGINT", "Dense number from 0: warm items in the order of the ids, then cold ones."),
        "item_id": Column("VARCHAR", "The source's name of the item."),
        "is_cold": Column("BOOLEAN", "Whether only the window's own events name it, not the history."),
        **{name: column for name, column in RAW_ITEMS.columns.items() if name != "item_id"},
    },
    lineage={
        "item": (("raw/interactions", "item_id"), ("raw/items", "item_id")),
        "is_cold": (("raw/interactions", "timestamp"),),
        **copied("raw/items", *RAW_ITEMS.columns),
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
            f"SELECT item, item_id, is_cold FROM {items}",
            [
                expect.not_null("item_id", "every item has an id"),
                expect.unique("item_id", "no item id has two numbers"),
                expect.not_null("is_cold", "every item is warm or cold"),
            ],
        ),
        dense_suite(items, "item"),
        Suite(
            f"SELECT item AS misplaced FROM {items} WHERE NOT is_cold AND item > "
            f"(SELECT min(item) FROM {items} WHERE is_cold)",
            [expect.no_row("cold items are numbered after all warm ones")],
        ),
    ]
