"""A large made-up event log for `mrs bench ingest`: users and items of very different activity over whole months.

Made by DuckDB alone, the same for the same sizes. What is measured on it is `ingest`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from mrs_pipeline.storage.sql import literal
from mrs_pipeline.windows import window_end

FIRST_LOGGED_MONTH = "2022-01"
_SALTS = 4  # independent draws: user, item, moment, rating


@dataclass(frozen=True)
class LogSize:
    """How large a log is.

    Attributes:
        rows: interactions.
        users: most users that they can be of.
        items: items of the catalogue.
        months: months that they are spread over, evenly.
    """

    rows: int
    users: int
    items: int
    months: int


def write_event_log(con: duckdb.DuckDBPyConnection, folder: Path, size: LogSize) -> None:
    """Write `interactions.parquet` (in the order of time) and `items.parquet` into a new folder.

    Activity falls off so that the most active tenth of the users has nearly half of the rows, and the most popular
    tenth of the items too. Ratings are 1 to 5 and mostly good.
    """
    folder.mkdir(parents=True)
    start, end = _span(size.months)
    seconds = int((end - start).total_seconds())
    draws = ", ".join(
        f"hash(n * {_SALTS} + {salt}) / 18446744073709551616.0 AS d{salt}" for salt in range(_SALTS)
    )
    con.execute(
        f"""
        COPY (
            SELECT 'u' || CAST(floor({size.users} * pow(d0, 3)) AS BIGINT) AS user_id,
                   'i' || CAST(floor({size.items} * pow(d1, 3)) AS BIGINT) AS item_id,
                   TIMESTAMP '{start:%Y-%m-%d}' + to_seconds(CAST(floor({seconds} * (n + d2) / {size.rows}) AS BIGINT))
                       AS timestamp,
                   CAST(5 - floor(5 * pow(d3, 2)) AS DOUBLE) AS rating
            FROM (SELECT range AS n, {draws} FROM range({size.rows}))
        ) TO {literal(str(folder / "interactions.parquet"))} (FORMAT parquet)
        """
    )
    con.execute(
        f"""
        COPY (
            SELECT 'i' || range AS item_id, 'Item number ' || range AS title, 'kind ' || range % 97 AS category
            FROM range({size.items})
        ) TO {literal(str(folder / "items.parquet"))} (FORMAT parquet)
        """
    )


def _span(months: int) -> tuple[datetime, datetime]:
    start = datetime.strptime(FIRST_LOGGED_MONTH, "%Y-%m").replace(tzinfo=UTC)
    end = start
    for _ in range(months):
        end = window_end("month", f"{end:%Y-%m}")
    return start, end
