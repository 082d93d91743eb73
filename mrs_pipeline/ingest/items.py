"""The catalogue of a source: ids, texts, attributes and media paths as `raw.items` holds them.

Attributes are kept as text under lower-case snake-case names; what they mean is for whoever reads them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile
from mrs_pipeline.ingest.interactions import missing_column
from mrs_pipeline.ingest.media import MEDIA_COLUMNS, MediaTable
from mrs_pipeline.ingest.sql import first_row, quoted_name
from mrs_pipeline.schema import (
    DATASET,
    DESCRIPTION,
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

CANONICAL: Final = (ITEM_ID, *_TEXTS, *MEDIA_COLUMNS)
"""Columns that every catalogue has, in this order around the attributes."""

RESERVED: Final = (DATASET, WINDOW, ITEM, USER, USER_ID, REASON, SOURCE_FILE, SOURCE_ROW)
"""Names that the lake's own columns carry; an attribute may not."""


def item_columns(file: DataFile, mapping: Mapping[str, str]) -> dict[str, str]:
    """Column of `raw.items` -> column of the file: the canonical ones that are there, then attributes.

    Raises:
        InputError: the item id or a mapped column is missing, or two columns would get one name.
    """
    for canonical, actual in mapping.items():
        if actual not in file.columns:
            raise InputError(missing_column(file, canonical, actual, "item_columns"))
    given = {actual: canonical for canonical, actual in mapping.items()}
    chosen: dict[str, str] = {}
    for actual in file.columns:
        name = given.get(actual) or _snake_case(actual)
        if name in RESERVED:
            raise InputError(
                f"{file.name}: column '{actual}' would be called '{name}', which the lake keeps for itself; "
                f"give it another name under source, for example `item_columns: {{item_{name}: {actual}}}`"
            )
        if name in chosen:
            raise InputError(
                f"{file.name}: columns '{chosen[name]}' and '{actual}' would both be called '{name}'; "
                f"rename one under source, for example `item_columns: {{other_{name}: {actual}}}`"
            )
        chosen[name] = actual
    if ITEM_ID not in chosen:
        raise InputError(missing_column(file, ITEM_ID, ITEM_ID, "item_columns"))
    canonical_first = sorted(chosen, key=lambda name: name not in CANONICAL)
    return {name: chosen[name] for name in canonical_first}


def _snake_case(name: str) -> str:
    """`ReleaseYear`, `release year` and `release-year` all become `release_year`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    snake = re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")
    return snake if snake[:1].isalpha() else f"column_{snake}".rstrip("_")


def check_ids(con: "DuckDBPyConnection", file: DataFile, column: str) -> None:
    """InputError for a file without rows, a row without item id, or an item listed twice."""
    relation = f"(SELECT {_identifier(file, column)} AS {ITEM_ID}, {ROW} FROM ({file.scan_sql()}))"
    with file.reading():
        count, nameless = first_row(
            con, f"SELECT count(*), min({ROW}) FILTER ({ITEM_ID} IS NULL) FROM {relation}"
        )
        twice = first_row(
            con,
            f"SELECT {ITEM_ID}, min({ROW}), min({ROW}, 2)[2] FROM {relation} GROUP BY 1 HAVING count(*) > 1 "
            "ORDER BY 2 LIMIT 1",
        )
    if count == 0:
        raise InputError(f"{file.name} has no rows below its header; put items there or remove the file")
    if nameless:
        raise InputError(f"{file.place(nameless)}: no {column}; give the item an id or remove the line")
    if twice:
        first, second = (file.place(row).removeprefix(f"{file.name}, ") for row in twice[1:])
        raise InputError(
            f"{file.name}: item '{twice[0]}' stands in {first} and again in {second}; keep one of them"
        )


def items_select(
    con: "DuckDBPyConnection", file: DataFile, columns: Mapping[str, str], media: Mapping[str, MediaTable]
) -> str:
    """SELECT with the columns of `raw.items` from a checked items file; a path without a file becomes NULL."""
    check_ids(con, file, columns[ITEM_ID])
    inner = [f"{_identifier(file, columns[ITEM_ID])} AS {ITEM_ID}"]
    inner += [
        f"{values.text(actual, file.columns[actual])} AS {quoted_name(name)}"
        for name, actual in columns.items()
        if name != ITEM_ID
    ]
    relation = f"SELECT {', '.join(inner)} FROM ({file.scan_sql()})"
    file.readable_rows(con, relation)
    return _joined(relation, list(columns), media)


def bare_items_select(ids: str, media: Mapping[str, MediaTable]) -> str:
    """The same for a source without an items file; `ids` is a SELECT of distinct `item_id`s."""
    return _joined(ids, [ITEM_ID], media)


def read_ids(con: "DuckDBPyConnection", file: DataFile, column: str) -> list[str]:
    """The item ids of a file in its order, once they are checked."""
    check_ids(con, file, column)
    rows = con.execute(
        f"SELECT {_identifier(file, column)} FROM ({file.scan_sql()}) ORDER BY {ROW}"
    ).fetchall()
    return [item for (item,) in rows]


def _identifier(file: DataFile, column: str) -> str:
    if column not in file.columns:
        raise InputError(missing_column(file, ITEM_ID, column, "item_columns"))
    sql = values.identifier_sql(column, file.columns[column])
    if sql is None:
        raise InputError(
            f"{file.name}, column {column}: type {file.columns[column]} cannot be an item_id; "
            "convert it or map another column under source.item_columns"
        )
    return sql


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
            key = ITEM_ID if table.by_item else modality
            joins += f" LEFT JOIN {table.name} ON {table.name}.key = items.{key}"
    return f"SELECT {', '.join(chosen)} FROM ({relation}) AS items{joins}"
