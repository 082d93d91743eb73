"""A source's file of triples (head, relation, tail), read and checked. What they join, `tables.knowledge` finds out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import ROW, DataFile, open_data_file
from mrs_pipeline.ingest.paths import named_file
from mrs_pipeline.ingest.sql import first_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARTS: Final = ("head", "relation", "tail")


def triples_select(con: "DuckDBPyConnection", root: Path, name: str, columns: Mapping[str, str]) -> str:
    """SELECT of head, relation and tail as text, once no row lacks one of them.

    Args:
        con: any connection.
        root: the source's root.
        name: the file below it.
        columns: our name -> the file's, where they differ.

    Raises:
        InputError: no such file, unreadable, without a column or a row, or a row without one of the three.
    """
    file = open_data_file(con, root, named_file(root, name, "knowledge.triples"))
    actual = {part: columns.get(part, part) for part in PARTS}
    chosen = ", ".join(f"{_text(file, part, column)} AS {part}" for part, column in actual.items())
    select = f"SELECT {chosen}, {ROW} FROM ({file.scan_sql()})"
    if file.readable_rows(con, select) == 0:
        raise InputError(f"{file.name} has no rows below its header; put triples there")
    for part, column in actual.items():
        with file.reading():
            bad = first_row(con, f"SELECT min({ROW}) FROM ({select}) WHERE {part} IS NULL")
        if bad[0] is not None:
            raise InputError(
                f"{file.place(bad[0])}: no {column}; a triple needs a head, a relation and a tail, so complete it "
                "or remove the line"
            )
    return f"SELECT {', '.join(PARTS)} FROM ({select})"


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
