"""Keys, bounds and enumeration of windows, and that Dagster's partitions are the same windows."""

from datetime import UTC, date, datetime, timedelta

import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mrs_pipeline.orchestration.partitions import partitions_of
from mrs_pipeline.windows import (
    KEY_FORMATS,
    WindowOptions,
    first_scored,
    scored_keys,
    window_end,
    window_keys,
    window_start,
)

EVERY = ("day", "week", "month", "year")
SPAN = {"day": 1, "week": 7, "month": 31, "year": 366}

moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
lengths = st.sampled_from(EVERY)


def _key(every: str, moment: datetime) -> str:
    """Key of the window that holds a moment, by other arithmetic than the code's."""
    day = moment - timedelta(days=moment.weekday()) if every == "week" else moment
    return day.strftime(KEY_FORMATS[every])


def _options(every: str, start: str, **others: str) -> WindowOptions:
    return WindowOptions.model_validate({"every": every, "start": start, **others})


@pytest.mark.parametrize(
    ("every", "key", "first", "after"),
    [
        ("day", "2024-02-28", datetime(2024, 2, 28), datetime(2024, 2, 29)),
        ("day", "2023-02-28", datetime(2023, 2, 28), datetime(2023, 3, 1)),
        ("week", "2024-12-30", datetime(2024, 12, 30), datetime(2025, 1, 6)),
        ("month", "2024-02", datetime(2024, 2, 1), datetime(2024, 3, 1)),
        ("month", "2023-12", datetime(2023, 12, 1), datetime(2024, 1, 1)),
        ("year", "2024", datetime(2024, 1, 1), datetime(2025, 1, 1)),
    ],
)
def test_a_key_names_its_first_moment_and_the_first_after_it(
    every: str, key: str, first: datetime, after: datetime
) -> None:
    assert window_start(every, key) == first.replace(tzinfo=UTC)
    assert window_end(every, key) == after.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "start", "now", "keys"),
    [
        ("day", "2024-02-28", datetime(2024, 3, 1), ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("day", "2023-02-28", datetime(2023, 3, 1, 23), ["2023-02-28", "2023-03-01"]),
        ("week", "2020-12-28", datetime(2021, 1, 10), ["2020-12-28", "2021-01-04"]),
        ("month", "2023-11", datetime(2024, 2, 29), ["2023-11", "2023-12", "2024-01", "2024-02"]),
        ("year", "2019", datetime(2021, 1, 1), ["2019", "2020", "2021"]),
    ],
)
def test_windows_run_to_the_one_that_is_open(every: str, start: str, now: datetime, keys: list[str]) -> None:
    assert window_keys(_options(every, start), now.replace(tzinfo=UTC)) == keys


def test_the_last_window_is_the_end_or_the_open_one() -> None:
    options = _options("month", "2024-01", end="2024-03")
    assert window_keys(options, datetime(2030, 1, 1, tzinfo=UTC)) == ["2024-01", "2024-02", "2024-03"]
    assert window_keys(options, datetime(2024, 2, 10, tzinfo=UTC)) == ["2024-01", "2024-02"]


def test_without_windows_there_is_one_called_full() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert window_keys(WindowOptions(), now) == scored_keys(WindowOptions(), now) == ["full"]


def test_before_the_first_window_there_is_none() -> None:
    assert window_keys(_options("year", "2024"), datetime(2023, 12, 31, tzinfo=UTC)) == []
    assert scored_keys(_options("year", "2024"), datetime(2023, 12, 31, tzinfo=UTC)) == []


def test_models_are_trained_where_there_is_history() -> None:
    now = datetime(2024, 12, 1, tzinfo=UTC)
    assert scored_keys(_options("month", "2024-09"), now) == ["2024-10", "2024-11", "2024-12"]
    assert scored_keys(_options("month", "2024-09", score_from="2024-12"), now) == ["2024-12"]


@given(every=lengths, start=moments, length=st.integers(0, 40))
def test_windows_tile_time_without_gap_or_overlap(every: str, start: datetime, length: int) -> None:
    now = start + timedelta(days=length * SPAN[every])
    keys = window_keys(_options(every, _key(every, start)), now)
    assert keys == sorted(set(keys))  # keys compare as text in the order of time
    assert all(
        window_end(every, early) == window_start(every, late)
        for early, late in zip(keys, keys[1:], strict=False)
    )
    assert window_start(every, keys[0]) <= start
    assert window_start(every, keys[-1]) <= now < window_end(every, keys[-1])
    assert _key(every, now) == keys[-1]


@given(every=lengths, moment=moments)
def test_a_moment_lies_in_the_window_of_its_key(every: str, moment: datetime) -> None:
    key = _key(every, moment)
    assert window_start(every, key) <= moment < window_end(every, key)
    assert window_start(every, key).strftime(KEY_FORMATS[every]) == key
    if every == "week":
        assert window_start(every, key).isoweekday() == 1


@given(
    every=lengths,
    start=moments,
    length=st.integers(0, 30),
    to_end=st.one_of(st.none(), st.integers(1, 30)),
    scored=st.one_of(st.none(), st.integers(1, 30)),
)
def test_dagster_offers_the_windows_that_models_are_trained_for(
    every: str, start: datetime, length: int, to_end: int | None, scored: int | None
) -> None:
    def later(windows: int) -> str:
        return _key(every, start + timedelta(days=windows * SPAN[every]))

    others = {} if to_end is None else {"end": later(to_end)}
    if scored is not None:
        others["score_from"] = later(min(scored, to_end or scored))
    options = _options(every, _key(every, start), **others)
    now = start + timedelta(days=length * SPAN[every])
    partitions = partitions_of(options)
    assert partitions is not None
    offered = list(partitions.get_partition_keys(current_time=now))
    if now < window_start(every, first_scored(options)):  # Dagster offers the first one a window early
        assert offered in ([], [first_scored(options)])
    else:
        assert offered == scored_keys(options, now)


@pytest.mark.parametrize(
    ("every", "start", "end"),
    [("month", "2024-01", "2024-12"), ("year", "2012", "2021"), ("month", "2024-01", None)],
)
def test_the_latest_partitions_are_the_last_windows(every: str, start: str, end: str | None) -> None:
    """The list that the UI's plots are drawn over, which Dagster makes in an order of its own."""
    options = _options(every, start, **({"end": end} if end else {}))
    partitions = partitions_of(options)
    assert partitions is not None
    with partition_loading_context() as context:
        latest = partitions.get_paginated_partition_keys(context, limit=500, ascending=False).results
    assert list(latest) == scored_keys(options, datetime.now(UTC))[::-1]


def test_a_dataset_without_windows_has_no_partitions() -> None:
    assert partitions_of(WindowOptions()) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"every": "month"}, "needs window.start"),
        ({"start": "2024-01"}, "need window.every"),
        ({"every": "month", "start": "2024"}, "a month is written like 2021-03"),
        ({"every": "month", "start": "2024-1"}, "a month is written like 2021-03"),
        ({"every": "month", "start": "2024-13"}, "a month is written like 2021-03"),
        ({"every": "day", "start": "2023-02-29"}, "a day is written like 2021-03-01"),
        ({"every": "year", "start": "24"}, "a year is written like 2021"),
        ({"every": "week", "start": "2024-01-03"}, "weeks start on Monday, here 2024-01-01"),
        ({"every": "year", "start": "2024", "end": "2024"}, "window.end 2024 must lie after"),
        ({"every": "year", "start": "2024", "score_from": "2023"}, "window.score_from 2023 must lie after"),
        (
            {"every": "year", "start": "2020", "end": "2022", "score_from": "2023"},
            "window.score_from 2023 must not lie after window.end 2022",
        ),
        ({"every": "hour", "start": "2024"}, "'none', 'day', 'week', 'month' or 'year'"),
        ({"every": "year", "start": "2024", "until": "2025"}, "Extra inputs are not permitted"),
        ({"every": "year", "start": True}, "valid string"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        WindowOptions.model_validate(settings)


def test_keys_may_be_what_yaml_makes_of_them() -> None:
    assert WindowOptions.model_validate({"every": "year", "start": 2012, "end": 2021}).start == "2012"
    days = WindowOptions.model_validate({"every": "day", "start": date(2024, 1, 31)})
    assert days.start == "2024-01-31"
