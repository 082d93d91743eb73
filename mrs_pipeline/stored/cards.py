"""Items as a page shows them: title and thumbnail. How a card is drawn belongs to `reporting`."""

import polars as pl

from mrs_pipeline.reporting.inputs import ItemCard
from mrs_pipeline.reporting.thumbnails import item_thumbnail
from mrs_pipeline.tasks.node import CORE_ITEMS
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Stage


class Cards:
    """The cards of a window's items; each picture is opened once."""

    def __init__(self, stage: Stage) -> None:
        self._root = source_of(stage).root
        self._items: pl.DataFrame = stage.lake.read(table_of(stage, CORE_ITEMS))
        self._pictures: dict[int, str | None] = {}

    def card(self, item: int, *, note: str = "", hit: bool = False) -> ItemCard:
        """The card of a dense item number."""
        row = self._items.row(item, named=True)
        if item not in self._pictures:
            self._pictures[item] = item_thumbnail(self._root, row.get("image"))
        title = row.get("title") or row["item_id"]
        return ItemCard(title=title, image=self._pictures[item], note=note, hit=hit)
