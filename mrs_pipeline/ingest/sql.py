"""Quoting for SQL text, and reading one row. What the SQL says is for the modules that write it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


_LONGEST_VALUE = 80


def quoted_text(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def in_short(text: str) -> str:
    """A value of a file as a message shows it: on one line, and no more than its beginning."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}…"


def first_row(con: "DuckDBPyConnection", query: str, parameters: Any = None) -> tuple[Any, ...]:
    """The first row of a query that yields few; empty where it yields none.

    All rows are fetched: an unfinished result would keep the caller's connection busy.
    """
    rows = con.execute(query, parameters).fetchall()
    return rows[0] if rows else ()
