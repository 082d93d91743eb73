"""The catalogue of a source: ids, texts, attributes and media paths as `raw.items` holds them.

Attributes are kept as text under lower-case snake-case names; what they mean is for whoever reads them.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.interactions import missing_column
from mrs_pipeline.ingest.media import MEDIA_COLUMNS, MediaTable
from mrs_pipeline.ingest.sql import first_row, quoted_name
from mrs_pipeline.schema import (
    DATASET,
    DESCRIPTION,
    FIRST_SEEN,
    ITEM,
    ITEM_ID,
    REASON,
    SOURCE_FILE,
    SOURCE_ROW,
    TITLE,
    USER,
    USER_ID,
    WINDOW,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TEXTS: Final = (TITLE, DESCRIPTION)

CANONICAL: Final = (ITEM_ID, *_TEXTS, *MEDIA_COLUMNS, FIRST_SEEN)
"""Columns that every catalogue has, in this order around the attributes."""

RESERVED: Final = (
    DATASET,
    WINDOW,
    ITEM,
    USER,
    USER_ID,
    REASON,
    SOURCE_FILE,
    SOURCE_ROW,
    "is_cold",
    "is_candidate",
)
"""Names that the lake's own columns carry; an attribute of that name becomes `item_<name>`."""


def item_columns(file: DataFile, mapping: Mapping[str, str]) -> dict[str, str]:
    """Column of `raw.items` -> column of the file: the canonical ones that are there, then attributes.

    Attributes are called as in the file, in lower case and snake case, letters of any script; where that name is
    taken, a number follows.

    Raises:
        InputError: the item id or a mapped column is missing.
    """
    for canonical, actual in mapping.items():
        if actual not in file.columns:
            raise InputError(missing_column(file, canonical, actual, "item_columns", mapping.values()))
    given = {actual: canonical for canonical, actual in mapping.items()}
    chosen: dict[str, str] = dict(mapping)
    for actual in file.columns:
        if actual not in given:
            chosen[_free_name(_snake_case(actual), chosen)] = actual
    if ITEM_ID not in chosen:
        raise InputError(missing_column(file, ITEM_ID, ITEM_ID, "item_columns", mapping.values()))
    canonical_first = sorted(chosen, key=lambda name: name not in CANONICAL)
    return {name: chosen[name] for name in canonical_first}


def _snake_case(name: str) -> str:
    """`ReleaseYear`, `release year` and `release-year` all become `release_year`; letters of any script stay."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFC", name.strip()))
    snake = re.sub(r"\W+", "_", words.casefold()).strip("_")
    return snake if snake[:1].isalpha() else f"column_{snake}".rstrip("_")


def _free_name(name: str, taken: Mapping[str, str]) -> str:
    """The name, or one made from it that neither the lake nor another column has."""
    name = f"item_{name}" if name in RESERVED else name
    numbered = (f"{name}_{number}" for number in count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def check_ids(con: "DuckDBPyConnection", file: DataFile, column: str, ids: IdOptions) -> None:
    """InputError for a file without rows, a row without item id, or an item listed twice."""
    relation = f"(SELECT {_identifier(file, column, ids)} AS {ITEM_ID}, {ROW} FROM ({file.scan_sql()}))"
    with file.reading():
        rows, nameless = first_row(
            con, f"SELECT count(*), min({ROW}) FILTER ({ITEM_ID} IS NULL) FROM {relation}"
        )
        twice = first_row(
            con,
            f"SELECT {ITEM_ID}, min({ROW}), min({ROW}, 2)[2] FROM {relation} GROUP BY 1 HAVING count(*) > 1 "
            "ORDER BY 2 LIMIT 1",
        )
    if rows == 0:
        raise InputError(f"{file.name} has no rows below its header; put items there or remove the file")
    if nameless:
        raise InputError(
            f"{file.place(nameless)}: no {column}; give the item an id or remove the line (texts such as nan are none, "
            "unless source.ids.missing says otherwise)"
        )
    if twice:
        first, second = (file.place(row).removeprefix(f"{file.name}, ") for row in twice[1:])
        raise InputError(
            f"{file.name}: item '{twice[0]}' stands in {first} and again in {second}; keep one of them"
        )


def items_select(
    con: "DuckDBPyConnection",
    file: DataFile,
    columns: Mapping[str, str],
    media: Mapping[str, MediaTable],
    ids: IdOptions,
) -> str:
    """SELECT with the columns of `raw.items` from a checked items file; a path without a file becomes NULL."""
    check_ids(con, file, columns[ITEM_ID], ids)
    inner = [f"{_identifier(file, columns[ITEM_ID], ids)} AS {ITEM_ID}"]
    inner += [
        f"{values.text(actual, file.columns[actual])} AS {quoted_name(name)}"
        for name, actual in columns.items()
        if name not in (ITEM_ID, FIRST_SEEN)
    ]
    if FIRST_SEEN in columns:
        inner.append(f"{_first_seen(con, file, columns[FIRST_SEEN])} AS {FIRST_SEEN}")
    relation = f"SELECT {', '.join(inner)} FROM ({file.scan_sql()})"
    file.readable_rows(con, relation)
    return _joined(relation, list(columns), media)


def bare_items_select(ids: str, media: Mapping[str, MediaTable]) -> str:
    """The same for a source without an items file; `ids` is a SELECT of `item_id`s and `first_seen`."""
    return _joined(ids, [ITEM_ID, FIRST_SEEN], media)


def read_ids(con: "DuckDBPyConnection", file: DataFile, column: str, ids: IdOptions) -> list[str]:
    """The item ids of a file in its order, once they are checked."""
    check_ids(con, file, column, ids)
    rows = con.execute(
        f"SELECT {_identifier(file, column, ids)} FROM ({file.scan_sql()}) ORDER BY {ROW}"
    ).fetchall()
    return [item for (item,) in rows]


def _identifier(file: DataFile, column: str, ids: IdOptions) -> str:
    if column not in file.columns:
        raise InputError(missing_column(file, ITEM_ID, column, "item_columns"))
    sql = values.identifier_sql(column, file.columns[column], ids)
    if sql is None:
        raise InputError(
            f"{file.name}, column {column}: type {file.columns[column]} cannot be an item_id; "
            "convert it or map another column under source.item_columns"
        )
    return sql


def _first_seen(con: "DuckDBPyConnection", file: DataFile, column: str) -> str:
    """SQL of the moment since when an item exists, checked; four digits are a year."""
    moment = values.timestamp(column, file.columns[column])
    if moment is None:
        raise InputError(
            f"{file.name}, column {column}: type {file.columns[column]} cannot be the time since when an item exists; "
            "map another column to first_seen under source.item_columns"
        )
    year = f"TRY_CAST({quoted_name(column)} AS INTEGER)"
    is_year = f"regexp_full_match(CAST({quoted_name(column)} AS VARCHAR), ' *(1[89]|20)[0-9][0-9] *')"
    with file.reading():
        (bad,) = first_row(
            con,
            f"SELECT arg_min({{'row': {ROW}, 'shown': {moment.shown}}}, {ROW}) FILTER ({moment.wrong}) "
            f"FROM ({file.scan_sql()})",
        )
    if bad:
        raise InputError(
            f"{file.place(bad['row'])}, column {column}: '{bad['shown']}' is neither unix seconds, milliseconds nor an "
            "ISO date; correct it, or map another column to first_seen under source.item_columns"
        )
    return f"CASE WHEN {is_year} THEN make_timestamp({year}, 1, 1, 0, 0, 0.0) ELSE {moment.sql} END"


def _joined(relation: str, present: Sequence[str], media: Mapping[str, MediaTable]) -> str:
    """The columns in their order, with media paths from the tables of files that exist."""
    chosen = [f"items.{ITEM_ID}"]
    chosen += [f"items.{name}" if name in present else f"CAST(NULL AS VARCHAR) AS {name}" for name in _TEXTS]
    chosen += [f"items.{quoted_name(name)}" for name in present if name not in CANONICAL]
    joins = ""
    for modality in MEDIA_COLUMNS:
        table = media.get(modality)
        chosen.append(f"{f'{table.name}.path' if table else 'CAST(NULL AS VARCHAR)'} AS {modality}")
        if table:
            key = ITEM_ID if table.by_item else quoted_name(modality)
            joins += f" LEFT JOIN {table.name} ON {table.name}.key = items.{key}"
    chosen.append(
        f"items.{FIRST_SEEN}" if FIRST_SEEN in present else f"CAST(NULL AS TIMESTAMP) AS {FIRST_SEEN}"
    )
    return f"SELECT {', '.join(chosen)} FROM ({relation}) AS items{joins}"
