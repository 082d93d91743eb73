"""When a dataset happened: what its numbers count, which times cannot be, and the windows that suit the rest."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.inspection.proposal import Proposal
from mrs_pipeline.ingest.landing import Activity, activity, last_testable
from mrs_pipeline.ingest.sql import first_row, quoted_name
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.ingest.values import kind_of
from mrs_pipeline.schema import TIMESTAMP
from mrs_pipeline.windows import window_end, window_start

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LENGTHS: Final = ("year", "month", "week", "day")
_FEWEST_WINDOWS: Final = 4
_RETURNING: Final = 0.5
"""Share of a window's events by users seen before, from which walk-forward has something to test."""
_HISTORY: Final = 0.1
"""Share of all events that must lie before the first window that is scored."""
_TIMED: Final = 0.8
"""Share of the rows that must have a possible time for the dataset to be cut in time."""
_OUTLIERS: Final = 0.1
"""Share of the rows up to which times far from all others are taken for mistakes."""
_YEAR: Final = timedelta(days=366)
_GAP: Final = 3
"""Times the covered span (and at least a year) without an event, beyond which a time is far from the others."""
_ZERO: Final = datetime(1970, 1, 1)
_RELATIVE: Final = datetime(1973, 1, 1)
"""Seconds up to here are numbers below 1e8: as well a count from some start as a date."""
_UNITS: Final[dict[TimeUnit, str]] = {
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "day": "days since 1970",
    "excel": "Excel's days",
    "year": "years",
}


@dataclass(frozen=True)
class Span:
    """Where the bulk of the times lies, and what lies apart.

    Attributes:
        first: first time of the bulk.
        last: last time of it.
        rows: rows of the bulk.
        early: rows before it.
        late: rows after it.
        earliest: the first of those before it.
        latest: the last of those after it.
    """

    first: datetime
    last: datetime
    rows: int
    early: int = 0
    late: int = 0
    earliest: datetime | None = None
    latest: datetime | None = None

    @property
    def relative(self) -> bool:
        """Whether the times are small numbers rather than dates."""
        return self.last < _RELATIVE


def time_unit(con: "DuckDBPyConnection", file: DataFile, column: str) -> TimeUnit:
    """What the numbers of a time column count, by the size of nearly all of them; `auto` where nothing is unusual."""
    if column not in file.columns or kind_of(file.columns[column]) not in ("text", "integer", "decimal"):
        return "auto"
    number = f"TRY_CAST({quoted_name(column)} AS DOUBLE)"
    with file.reading():
        low, median, high, whole = first_row(
            con,
            f"SELECT quantile_cont(n, 0.05), median(n), quantile_cont(n, 0.95), bool_and(n = trunc(n)) FROM "
            f"(SELECT {number} AS n FROM ({file.scan_sql()})) WHERE n > 0 AND isfinite(n)",
        )
    if low is None:
        return "auto"
    return _unit_of(low, median, high, whole=bool(whole))


def _unit_of(low: float, median: float, high: float, *, whole: bool) -> TimeUnit:
    if low >= 1900 and high <= 2100 and whole:
        return "year"
    if low >= 9_000 and high <= 22_000:
        return "day"
    if low >= 25_000 and high <= 60_000:
        return "excel"
    if median >= 1e17:
        return "ns"
    if median >= 1e14:
        return "us"
    return "ms" if 4.2e9 < median < 1e11 else "auto"


def unit_finding(column: str, unit: TimeUnit) -> str:
    """The sentence for numbers that are no seconds."""
    return f"times: the numbers of {column} are read as {_UNITS[unit]}; say `--time-unit` if they are something else"


def span_of(con: "DuckDBPyConnection", table: str, now: datetime) -> Span | None:
    """The bulk of the times of a table of interactions: the month of the median, and what no long gap parts from it.

    What will happen is no part of it, nor second 0 of 1970 in data of other years. None without a time.
    """
    (median,) = first_row(con, f"SELECT quantile_disc({TIMESTAMP}, 0.5) FROM {table}")
    if median is None:
        return None
    future = now.replace(tzinfo=None) + timedelta(days=1)
    zero = f" AND {TIMESTAMP} <> TIMESTAMP '1970-01-01'" if median > _RELATIVE else ""
    months = con.execute(
        f"SELECT min({TIMESTAMP}), max({TIMESTAMP}) FROM {table} WHERE {TIMESTAMP} <= ?{zero} "
        f"GROUP BY date_trunc('month', {TIMESTAMP}) ORDER BY 1",
        [future],
    ).fetchall()
    if not months:
        return None
    at = max((number for number, month in enumerate(months) if month[0] <= median), default=0)
    first, last = _grown(months, at)
    return _counted(con, table, first, last)


def _grown(months: list[tuple[datetime, datetime]], at: int) -> tuple[datetime, datetime]:
    """First and last time of the months around one, as far as no gap is too long for what is covered so far."""
    (first, last), before, after = months[at], at - 1, at + 1
    while True:
        gap = max(_YEAR, _GAP * (last - first))
        if before >= 0 and first - months[before][1] <= gap:
            first, before = months[before][0], before - 1
        elif after < len(months) and months[after][0] - last <= gap:
            last, after = months[after][1], after + 1
        else:
            return first, last


def _counted(con: "DuckDBPyConnection", table: str, first: datetime, last: datetime) -> Span:
    row = first_row(
        con,
        f"SELECT count(*) FILTER ({TIMESTAMP} BETWEEN $first AND $last), count(*) FILTER ({TIMESTAMP} < $first), "
        f"count(*) FILTER ({TIMESTAMP} > $last), min({TIMESTAMP}) FILTER ({TIMESTAMP} < $first), "
        f"max({TIMESTAMP}) FILTER ({TIMESTAMP} > $last) FROM {table}",
        {"first": first, "last": last},
    )
    return Span(first, last, *row)


def propose_bounds(span: Span | None, facts: SourceFacts, window: Proposal) -> Proposal | None:
    """The first or last day on which anything can have happened, where a few rows lie far from all others.

    Where windows go on to now, what lies after them needs no bound: it belongs to none of them.
    """
    if span is None or not span.early + span.late:
        return None
    zeros_only = span.earliest == _ZERO and not span.late
    if span.early + span.late > _OUTLIERS * facts.rows and not (zeros_only and span.rows > span.early):
        return None
    told: list[str] = []
    section: dict[str, Any] = {}
    if span.early:
        assert span.earliest is not None
        told.append(f"{span.early:,} before {span.first.date()} (as early as {span.earliest.date()})")
        section["earliest"] = span.first.date()
    if span.late:
        assert span.latest is not None
        told.append(f"{span.late:,} after {span.last.date()} (as late as {span.latest.date()})")
        if not window.section or "end" in window.section:
            section["latest"] = span.last.date()
    return Proposal(
        section,
        f"times: {' and '.join(told)} of {facts.rows:,} rows lie far from all others; they go to quarantine as "
        "impossible (earliest and latest under interactions)",
    )


def propose_window(con: "DuckDBPyConnection", table: str, facts: SourceFacts, span: Span | None) -> Proposal:
    """The longest window of which there are several, if enough users come back from one to the next.

    Args:
        con: the connection.
        table: a table of the interactions with a possible time.
        facts: counts of all of them.
        span: where the bulk of the times lies.
    """
    if span is None:
        return Proposal({}, "windows: none, no timestamps")
    if span.relative:
        return Proposal(
            {},
            f"windows: none, the times are small numbers and no dates (read as seconds they end on {span.last:%Y-%m-%d}"
            "); if they count something else, say `--time-unit`",
        )
    if span.rows < _TIMED * facts.rows:
        return Proposal(
            {}, f"windows: none, only {span.rows:,} of {facts.rows:,} rows have a time that can be"
        )
    for every in _LENGTHS:
        counts = activity(con, f"SELECT * FROM {table}", every)
        if len(counts) >= _FEWEST_WINDOWS:
            return _judged(every, counts)
    return Proposal({}, "windows: none, the time covered is too short")


def _judged(every: str, counts: list[Activity]) -> Proposal:
    keys = [each.window for each in counts]
    events = np.array([each.events for each in counts])
    returning = np.array([each.returning for each in counts])
    later = slice(len(keys) // 2, None)
    share = returning[later].sum() / events[later].sum()
    if share < _RETURNING:
        return Proposal(
            {}, f"windows: none, only {share:.0%} of a later {every}'s events come from users seen before"
        )
    enough = (returning >= _RETURNING * events) & (np.cumsum(events) - events >= _HISTORY * events.sum())
    scored = int(np.argmax(enough)) if enough.any() else len(keys) // 2
    section: dict[str, Any] = {
        "every": every,
        "start": keys[0],
        **_end(every, keys[-1]),
        "score_from": keys[scored],
    }
    span = f"{keys[0]} to {keys[-1]}, scored from {keys[scored]}"
    return Proposal(
        section,
        f"windows: {every}, {span}; users seen before make {share:.0%} of later events; {_tested(counts[scored:])}",
    )


def _tested(scored: list[Activity]) -> str:
    chosen, last = last_testable(scored), scored[-1]
    text = f"{chosen.window} is the one to test, with {chosen.users:,} users seen before"
    return text if chosen is last else f"{text} ({last.window} has {last.users:,})"


def _end(every: str, last: str) -> dict[str, str]:
    """The last window, where no rows have arrived for a whole window since."""
    end = window_end(every, last)
    return {"end": last} if datetime.now(UTC) > end + (end - window_start(every, last)) else {}
