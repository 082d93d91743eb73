"""When the rows of one landing file happened: for sensors that ask which windows a new file touches.

The calendar itself (keys, bounds) is `mrs_pipeline.windows`; here it is only put into SQL.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from mrs_pipeline.ingest.sql import first_row
from mrs_pipeline.schema import TIMESTAMP
from mrs_pipeline.windows import KEY_FORMATS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TimeRange = tuple[datetime, datetime]
"""First and last moment, UTC without zone, both inclusive."""


def window_key_sql(column: str, every: str) -> str:
    """SQL for the key of the window (`day`, `week`, `month` or `year`) that a TIMESTAMP column lies in."""
    return f"strftime(date_trunc('{every}', {column}), '{KEY_FORMATS[every]}')"


def time_range(con: "DuckDBPyConnection", interactions: str) -> TimeRange | None:
    """First and last timestamp of a SELECT of interactions; None where there is none."""
    first, last = first_row(con, f"SELECT min({TIMESTAMP}), max({TIMESTAMP}) FROM ({interactions})")
    return (first, last) if first is not None else None


def windows(con: "DuckDBPyConnection", interactions: str, every: str) -> list[str]:
    """Keys of the windows that a SELECT of interactions has rows in, in order."""
    rows = con.execute(
        f"SELECT DISTINCT {window_key_sql(TIMESTAMP, every)} FROM ({interactions}) "
        f"WHERE {TIMESTAMP} IS NOT NULL ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]
