"""What a source holds, in numbers: for metadata, for `mrs init`, for people.

Counting only; the SELECTs that are counted over come from `interactions` and `items`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mrs_pipeline.ingest.items import CANONICAL
from mrs_pipeline.ingest.media import MEDIA_COLUMNS
from mrs_pipeline.ingest.sql import quoted_name
from mrs_pipeline.schema import DESCRIPTION, ITEM_ID, RATING, SOURCE_FILE, SPLIT, TIMESTAMP, TITLE, USER_ID

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class MediaFacts:
    """Items with a file, and items whose path names a file that is not there."""

    present: int
    missing: int


@dataclass(frozen=True)
class SourceFacts:
    """What a source holds.

    Attributes:
        files: interaction file -> rows; a file without rows is left out.
        rows: interactions.
        users: distinct users among them.
        items: items of the catalogue.
        timed: interactions with a timestamp.
        rated: interactions with a rating.
        labelled: interactions with a given split.
        first: first timestamp, UTC.
        last: last timestamp, UTC.
        titled: items with a title.
        described: items with a description.
        attributes: columns of the catalogue beyond the canonical ones.
        media: modality -> coverage, for modalities with at least one path.
        matrices: names of the ready feature matrices.
    """

    files: Mapping[str, int]
    rows: int
    users: int
    items: int
    timed: int
    rated: int
    labelled: int
    first: datetime | None
    last: datetime | None
    titled: int
    described: int
    attributes: tuple[str, ...]
    media: Mapping[str, MediaFacts]
    matrices: tuple[str, ...]


def gather(
    con: "DuckDBPyConnection",
    interactions: str,
    items: str,
    named: Mapping[str, str],
    matrices: tuple[str, ...],
) -> SourceFacts:
    """Count a source.

    Args:
        con: the connection that the SELECTs were made for.
        interactions: SELECT of `raw.interactions`.
        items: SELECT of `raw.items`.
        named: modality -> SELECT of the number of items that name a file.
        matrices: names of the ready matrices.
    """
    files = con.execute(
        f"SELECT {SOURCE_FILE}, count(*) FROM ({interactions}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    counts = _one(
        con,
        f"SELECT count(*) AS rows, count(DISTINCT {USER_ID}) AS users, count({TIMESTAMP}) AS timed, "
        f"count({RATING}) AS rated, count({SPLIT}) AS labelled, min({TIMESTAMP}) AS first, "
        f"max({TIMESTAMP}) AS last FROM ({interactions})",
    )
    present = ", ".join(f"count({modality}) AS {modality}" for modality in MEDIA_COLUMNS)
    catalogue = _one(
        con,
        f"SELECT count({ITEM_ID}) AS items, count({TITLE}) AS titled, count({DESCRIPTION}) AS described, "
        f"{present} FROM ({items})",
    )
    columns = [row[0] for row in con.execute(f"DESCRIBE {items}").fetchall()]
    media = {}
    for modality in MEDIA_COLUMNS:
        found = int(catalogue.pop(modality))
        wanted = next(iter(_one(con, named[modality]).values())) if modality in named else found
        if wanted:
            media[modality] = MediaFacts(present=found, missing=int(wanted) - found)
    attributes = tuple(name for name in columns if name not in CANONICAL)
    return SourceFacts(
        files=dict(files), **counts, **catalogue, attributes=attributes, media=media, matrices=matrices
    )


def named_paths(scan: str, column: str) -> str:
    """SELECT of the number of items whose media column is filled."""
    return f"SELECT count(NULLIF(CAST({quoted_name(column)} AS VARCHAR), '')) FROM ({scan})"


def _one(con: "DuckDBPyConnection", query: str) -> dict[str, Any]:
    cursor = con.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchall()[0], strict=True))
