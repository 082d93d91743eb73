"""Where one recommendation comes from: its place in the list, the makings above it, files with the user's events."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import WINDOW
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.stored.lists import POPULARITY_LIST, ShownList, list_of_user
from mrs_pipeline.tasks.node import Files, Kind, Node
from mrs_pipeline.tasks.tracing import Origin, trace

_WHOLE_LIST = 1_000_000


@dataclass(frozen=True)
class PlaceOrigin:
    """One recommendation and what it goes back to.

    Attributes:
        shown: the list with the one row of the item: rank, item_id, title, score.
        files: the raw files with events of the user: file, rows, digest of the file as it was read.
        origin: what the list was made from, up to the raw files.
    """

    shown: ShownList
    files: pl.DataFrame
    origin: Origin


def origin_of_place(
    lake: Lake,
    dataset: str,
    user_id: str,
    item_id: str | None = None,
    *,
    model: str | None = None,
    window: str | None = None,
) -> PlaceOrigin:
    """Where an item's place in a user's stored list comes from.

    Args:
        lake: where results and lineage are.
        dataset: name of the dataset.
        user_id: the user as the source calls them.
        item_id: the item as the source calls it; the first of the list if None.
        model: whose list; the window's leader if None.
        window: the last window with lists if None.

    Raises:
        InputError: an unknown dataset, window or model, or the item is not in the list.
    """
    shown = list_of_user(lake, dataset, user_id, model=model, window=window, k=_WHOLE_LIST)
    row = shown.rows.head(1) if item_id is None else shown.rows.filter(pl.col("item_id") == item_id)
    if row.is_empty():
        raise InputError(
            f"{shown.model} does not list {item_id or 'anything'} for {user_id} in window {shown.window}; "
            f"`mrs recommend {dataset} {user_id}` shows what it lists."
        )
    listed = shown.model != POPULARITY_LIST
    asset = Node(Kind.RECOMMENDATIONS, shown.model) if listed else Node(Kind.CORE, "splits")
    origin = trace(lake, dataset, str(asset), shown.window)
    digests = {leaf.name.removeprefix(f"{Files.SOURCE}/"): leaf.digest for leaf in _leaves(origin)}
    place = ShownList(shown.window, shown.model, row, None if listed else shown.notice)
    return PlaceOrigin(place, _files_of_user(lake, dataset, user_id, shown.window, digests), origin)


def _leaves(origin: Origin) -> Iterator[Origin]:
    """The raw files, each as often as it is read."""
    if origin.made is None:
        yield origin
    for each in origin.inputs:
        yield from _leaves(each)


def _files_of_user(
    lake: Lake, dataset: str, user_id: str, window: str, digests: dict[str, str]
) -> pl.DataFrame:
    """File, number of the user's events and digest of each file that the windows up to this one hold events from."""
    events = lake.scan_all("raw", "interactions", dataset=dataset)
    with lake.connect() as con:
        found: pl.DataFrame = con.sql(
            f'SELECT source_file AS file, count(*) AS "rows" FROM {events} '
            f'WHERE user_id = ? AND "{WINDOW}" <= ? GROUP BY ALL ORDER BY ALL',
            params=[user_id, window],
        ).pl()
    return found.with_columns(
        digest=pl.col("file").replace_strict(digests, default=None, return_dtype=pl.String)
    )
