"""Quoting for SQL text, and reading one row. What the SQL says is for the modules that write it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def quoted_text(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def first_row(con: "DuckDBPyConnection", query: str, parameters: Any = None) -> tuple[Any, ...]:
    """The first row of a query that yields few; empty where it yields none.

    All rows are fetched: an unfinished result would keep the caller's connection busy.
    """
    rows = con.execute(query, parameters).fetchall()
    return rows[0] if rows else ()
