"""A source's file of triples (head, relation, tail), read and checked. What they join, `tables.knowledge` finds out.

RecBole's `.kg` and `.link` are such files, with a type behind each column's name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile, open_data_file
from mrs_pipeline.ingest.ids import LITERAL, IdOptions, cleaned
from mrs_pipeline.ingest.paths import named_file
from mrs_pipeline.ingest.sql import first_row, quoted_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARTS: Final = ("head", "relation", "tail")
LINKED: Final = ("head_linked", "tail_linked")
"""Columns that say whether the head and the tail may be items."""

_LINKS: Final = "knowledge_links"


def triples_select(
    con: "DuckDBPyConnection",
    root: Path,
    name: str,
    columns: Mapping[str, str],
    *,
    links: str | None = None,
    ids: IdOptions = LITERAL,
) -> str:
    """SELECT of head, relation and tail as text and of `LINKED`, once no row lacks one of the three.

    Args:
        con: any connection; with links the SELECT works on it only.
        root: the source's root.
        name: the file below it.
        columns: our name -> the file's, where they differ.
        links: a file of items and the entities that they are; an entity in it is called by its item's id.
        ids: which spellings of an item's id mean the same.

    Raises:
        InputError: no such file, unreadable, without a column or a row, or a row without one of the three.
    """
    file = open_data_file(con, root, named_file(root, name, "knowledge.triples", also=(".kg",)))
    actual = {part: columns.get(part) or _column(file, part) for part in PARTS}
    select = _complete(con, file, actual, "triple needs a head, a relation and a tail")
    if links is None:
        flags = ", ".join(f"true AS {flag}" for flag in LINKED)
        return f"SELECT {', '.join(PARTS)}, {flags} FROM ({select})"
    _read_links(con, root, links, ids)
    return (
        "SELECT coalesce(heads.item_id, head) AS head, relation, coalesce(tails.item_id, tail) AS tail, "
        f"heads.item_id IS NOT NULL AS {LINKED[0]}, tails.item_id IS NOT NULL AS {LINKED[1]} FROM ({select}) "
        f"LEFT JOIN {_LINKS} AS heads ON heads.entity_id = head LEFT JOIN {_LINKS} AS tails ON tails.entity_id = tail"
    )


def _read_links(con: "DuckDBPyConnection", root: Path, name: str, ids: IdOptions) -> None:
    """The pairs of item and entity of a file as a temporary table, each once."""
    file = open_data_file(con, root, named_file(root, name, "knowledge.links", also=(".link",)))
    entity = _typed(file, "entity_id")
    item = next((column for column in file.columns if column != entity), None)
    if entity not in file.columns or item is None or len(file.columns) != 2:
        raise InputError(
            f"{file.name} has the columns {', '.join(file.columns)}; a file of links has two, item_id and entity_id"
        )
    select = _complete(con, file, {"item_id": item, "entity_id": entity}, "link needs an item and an entity")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_LINKS} AS SELECT DISTINCT {cleaned('item_id', ids)} AS item_id, entity_id "
        f"FROM ({select})"
    )


def _complete(con: "DuckDBPyConnection", file: DataFile, columns: Mapping[str, str], needs: str) -> str:
    """SELECT of columns as text, once every row has all of them."""
    chosen = ", ".join(f"{_text(file, part, column)} AS {part}" for part, column in columns.items())
    select = f"SELECT {chosen}, {ROW} FROM ({file.scan_sql()})"
    if file.readable_rows(con, select) == 0:
        raise InputError(f"{file.name} has no rows below its header; put triples there")
    for part, column in columns.items():
        with file.reading():
            bad = first_row(con, f"SELECT min({ROW}) FROM ({select}) WHERE {quoted_name(part)} IS NULL")
        if bad[0] is not None:
            raise InputError(
                f"{file.place(bad[0])}: no {column}; a {needs}, so complete it or remove the line"
            )
    return select


def _column(file: DataFile, part: str) -> str:
    """`head`, or what RecBole calls it."""
    official = _typed(file, f"{part}_id")
    return official if part not in file.columns and official in file.columns else part


def _typed(file: DataFile, name: str) -> str:
    """The name itself, or with RecBole's type behind it where the file has that."""
    return f"{name}:token" if f"{name}:token" in file.columns else name


def _text(file: DataFile, part: str, column: str) -> str:
    if column not in file.columns:
        raise InputError(
            f"{file.name} has no column '{column}' (it has: {', '.join(file.columns)}); say which one is the "
            f"{part}, for example `triple_columns: {{{part}: {next(iter(file.columns))}}}` under knowledge"
        )
    sql = values.identifier_sql(column, file.columns[column])
    if sql is None:
        raise InputError(
            f"{file.name}, column {column}: type {file.columns[column]} cannot be a {part}; convert it to text"
        )
    return f"NULLIF(trim({sql}), '')"
