"""When rows happened: which windows a landing file touches, and how much a window has to be tested with.

The calendar itself (keys, bounds) is `mrs_pipeline.windows`; here it is only put into SQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mrs_pipeline.schema import SOURCE_FILE, TIMESTAMP, USER_ID
from mrs_pipeline.windows import KEY_FORMATS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHOWN: Final = 3
_FEWEST_USERS: Final = 5
_SHARE_OF_BEST: Final = 0.1
"""A window can be tested with this share of the users of the window that has most, and no fewer than the above."""


def window_key_sql(column: str, every: str) -> str:
    """SQL for the key of the window (`day`, `week`, `month` or `year`) that a TIMESTAMP column lies in."""
    return f"strftime(date_trunc('{every}', {column}), '{KEY_FORMATS[every]}')"


UNTIMED: Final = ""
"""In place of a window's key for rows without a time. It comes before all keys."""


def keys_in(con: "DuckDBPyConnection", interactions: str, every: str) -> list[str]:
    """Keys of the windows that a SELECT of interactions has rows in, in order, and `UNTIMED`."""
    rows = con.execute(
        f"SELECT DISTINCT coalesce({window_key_sql(TIMESTAMP, every)}, '{UNTIMED}') FROM ({interactions}) ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


@dataclass(frozen=True)
class Activity:
    """One window's events.

    Attributes:
        window: its key.
        events: how many there are.
        returning: those of them by users with an event in an earlier window.
        users: those users: whom a model that has learnt from the history can be tested with.
    """

    window: str
    events: int
    returning: int
    users: int


def activity(con: "DuckDBPyConnection", interactions: str, every: str) -> list[Activity]:
    """What a SELECT of interactions has in each window, in order; rows without a time do not count."""
    rows = con.execute(
        f"WITH events AS (SELECT {USER_ID}, {window_key_sql(TIMESTAMP, every)} AS w FROM ({interactions}) "
        f"WHERE {TIMESTAMP} IS NOT NULL AND {USER_ID} IS NOT NULL), "
        f"firsts AS (SELECT {USER_ID}, min(w) AS first FROM events GROUP BY 1) "
        f"SELECT w, count(*), count(*) FILTER (first < w), count(DISTINCT {USER_ID}) FILTER (first < w) "
        f"FROM events JOIN firsts USING ({USER_ID}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [Activity(*row) for row in rows]


def last_testable(choice: Sequence[Activity]) -> Activity:
    """The last window with enough users to test with; the last with most where none has. One at least is needed."""
    most = max(window.users for window in choice)
    enough = max(_FEWEST_USERS, _SHARE_OF_BEST * most)
    fit = [window for window in choice if window.users >= enough]
    return fit[-1] if fit else [window for window in choice if window.users == most][-1]


def untimed_notices(con: "DuckDBPyConnection", interactions: str) -> list[str]:
    """A sentence where rows of a table of interactions have no time: which files they are in."""
    files = con.execute(
        f"SELECT {SOURCE_FILE}, count(*) AS rows, count({TIMESTAMP}) AS timed FROM {interactions} GROUP BY 1 "
        "HAVING timed < rows ORDER BY rows - timed DESC, 1"
    ).fetchall()
    if not files:
        return []
    missing = sum(rows - timed for _, rows, timed in files)
    shown = ", ".join(
        f"{rows - timed:,} of {rows:,} in {name}"
        + ("" if timed else ", where the column of the time is not found")
        for name, rows, timed in files[:_SHOWN]
    )
    more = f" and {len(files) - _SHOWN} more files" if len(files) > _SHOWN else ""
    return [
        f"{missing:,} rows have no time ({shown}{more}); nobody knows which window they belong to, so they go to "
        "quarantine; give the column the name that it has in the other files"
    ]
