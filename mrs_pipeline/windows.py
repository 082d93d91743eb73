"""Time windows: their keys, bounds and enumeration. Pure calendar arithmetic in UTC.

A window's key is its start, written as short as its length allows (`2021`, `2021-03`, `2021-03-01`). What is done
with the rows of a window is the business of `tables` and `splits`; Dagster's partitions are made from these options
in `orchestration.partitions`.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from mrs_pipeline.schema import FULL_WINDOW

Every = Literal["none", "day", "week", "month", "year"]

KEY_FORMATS: Final[dict[str, str]] = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""strftime format of a window's key; DuckDB's strftime understands the same letters."""

CRON: Final[dict[str, str]] = {
    "day": "0 0 * * *",
    "week": "0 0 * * 1",
    "month": "0 0 1 * *",
    "year": "0 0 1 1 *",
}
"""When a window of that length begins."""


def _as_written(value: Any) -> Any:
    """YAML reads an unquoted 2021 as a number and 2021-03-01 as a date; here they are keys."""
    return str(value) if isinstance(value, int | date) and not isinstance(value, bool) else value


Key = Annotated[str, BeforeValidator(_as_written, json_schema_input_type=str | int)]


class WindowOptions(BaseModel):
    """How a dataset is cut in time."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    every: Every = "none"
    """Length of a window; `none` for data without time, or a benchmark with a given split."""
    start: Key | None = None
    """Key of the first window, e.g. `2015`, `2015-04` or `2015-04-06`; weeks start on Monday."""
    end: Key | None = None
    """Key of the last window; without it, or before it, windows go on to the one that is open now."""
    score_from: Key | None = None
    """Key of the first window that models are trained for; earlier ones are only read, as its history. Default:
    the second window."""

    @model_validator(mode="after")
    def _keys_fit(self) -> "WindowOptions":
        if self.every == "none":
            if self.start or self.end or self.score_from:
                raise ValueError("start, end and score_from need window.every: day, week, month or year")
            return self
        if self.start is None:
            raise ValueError(f"window.every: {self.every} needs window.start, the key of the first window")
        start = window_start(self.every, self.start)
        for name, key in (("end", self.end), ("score_from", self.score_from)):
            if key is not None and window_start(self.every, key) <= start:
                raise ValueError(f"window.{name} {key} must lie after window.start {self.start}")
        if self.end is not None and self.score_from is not None and self.score_from > self.end:
            raise ValueError(f"window.score_from {self.score_from} must not lie after window.end {self.end}")
        return self


def window_start(every: str, key: str) -> datetime:
    """First moment (UTC) of the window `key`; ValueError says how a key of that length is written."""
    start = _parsed(KEY_FORMATS[every], key)
    if start is None:
        example = datetime(2021, 3, 1, tzinfo=UTC).strftime(KEY_FORMATS[every])
        raise ValueError(f"'{key}' is no {every} window; a {every} is written like {example}")
    if every == "week" and start.weekday() != 0:
        raise ValueError(
            f"'{key}' is no week window; weeks start on Monday, here {start - timedelta(start.weekday()):%Y-%m-%d}"
        )
    return start


def _parsed(form: str, key: str) -> datetime | None:
    """The moment that `key` names; None if it is not written in full: keys are compared as text."""
    try:
        moment = datetime.strptime(key, form).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.strftime(form) == key else None


def window_end(every: str, key: str) -> datetime:
    """First moment (UTC) after the window `key`."""
    return _next(every, window_start(every, key))


def window_keys(options: WindowOptions, now: datetime) -> list[str]:
    """All windows from the first to the last, at most to the one open at `now`; `full` where there are none."""
    if options.every == "none":
        return [FULL_WINDOW]
    return [start.strftime(KEY_FORMATS[options.every]) for start in _starts(options, now)]


def scored_keys(options: WindowOptions, now: datetime) -> list[str]:
    """The windows that models are trained for: those that have history before them."""
    keys = window_keys(options, now)
    return keys if options.every == "none" else [key for key in keys if key >= first_scored(options)]


def first_scored(options: WindowOptions) -> str:
    """Key of the first window that models are trained for, whether it has begun or not; those before it are history."""
    assert options.start is not None
    second = window_end(options.every, options.start)
    return options.score_from or second.strftime(KEY_FORMATS[options.every])


def _starts(options: WindowOptions, now: datetime) -> Iterator[datetime]:
    assert options.start is not None
    start = window_start(options.every, options.start)
    last = min(window_start(options.every, options.end), now) if options.end else now
    while start <= last:
        yield start
        start = _next(options.every, start)


def _next(every: str, start: datetime) -> datetime:
    if every == "day":
        return start + timedelta(days=1)
    if every == "week":
        return start + timedelta(days=7)
    if every == "month":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start.replace(year=start.year + 1)
