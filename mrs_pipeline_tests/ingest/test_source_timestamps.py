"""All the ways in which a moment is written, and the windows it lies in."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest import values

MOMENT = datetime(2024, 2, 29, 12, 30, 15)
SECONDS = int(MOMENT.replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (str(SECONDS), MOMENT),
        (f"{SECONDS}.0", MOMENT),
        (f"{SECONDS}.25", MOMENT + timedelta(milliseconds=250)),
        (f"{SECONDS}250", MOMENT + timedelta(milliseconds=250)),
        (" 1709209815 ", MOMENT),
        ("1.709209815e9", MOMENT),
        ("0", datetime(1970, 1, 1)),
        ("-86400", datetime(1969, 12, 31)),
        ("2024-02-29", datetime(2024, 2, 29)),
        ("20240229", datetime(2024, 2, 29)),
        ("2024-02-29 12:30:15", MOMENT),
        ("2024-02-29T12:30:15", MOMENT),
        ("2024-02-29T12:30:15Z", MOMENT),
        ("2024-02-29 12:30:15 UTC", MOMENT),
        ("2024-02-29T14:30:15+02:00", MOMENT),
        ("2024-02-29T07:00:15-0530", MOMENT),
        ("2024-02-29T12:30:15.500", MOMENT + timedelta(milliseconds=500)),
        ("2024-02-29T12:30", MOMENT.replace(second=0)),
    ],
)
def test_text_moments(empty, written: str, expected: datetime) -> None:
    empty.write("interactions.csv", f"user_id,item_id,timestamp\nu,a,{written}\n")
    assert empty.interactions()["timestamp"].to_list() == [expected]


@pytest.mark.parametrize(
    "written",
    [
        *(
            "yesterday",
            "2024-02-30",
            "2024-13-01",
            "29.02.2024",
            "02/29/2024",
            "infinity",
            "epoch",
            "now",
            "nan",
        ),
        *("2024-02-29 12:30:15 Europe/Berlin", "1709209815000000", "1e999", "12:30", "0x10", "2024-02"),
    ],
)
def test_what_is_no_moment_is_refused(empty, written: str) -> None:
    empty.write("interactions.csv", f"user_id,item_id,timestamp\nu,a,1\nu,b,{written}\n")
    with pytest.raises(
        InputError, match=rf"^interactions.csv, line 3, column timestamp: '{written}' is neither unix"
    ):
        empty.interactions()


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([SECONDS], dtype=pl.Int64),
        pl.Series([SECONDS], dtype=pl.Int32),
        pl.Series([SECONDS * 1000], dtype=pl.UInt64),
        pl.Series([float(SECONDS)]),
        pl.Series([MOMENT], dtype=pl.Datetime("us")),
        pl.Series([MOMENT], dtype=pl.Datetime("ns")),
        pl.Series([MOMENT], dtype=pl.Datetime("ms")),
        pl.Series([MOMENT.replace(tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")),
        pl.Series(["2024-02-29T12:30:15"]),
    ],
)
def test_typed_moments(empty, column: pl.Series) -> None:
    empty.frame("interactions.parquet", {"user_id": ["u"], "item_id": ["a"], "timestamp": column})
    assert empty.interactions()["timestamp"].to_list() == [MOMENT]


def test_dates_are_midnight(empty) -> None:
    empty.frame(
        "interactions.parquet", {"user_id": ["u"], "item_id": ["a"], "timestamp": [date(2024, 2, 29)]}
    )
    assert empty.interactions()["timestamp"].to_list() == [datetime(2024, 2, 29)]


def test_seconds_milliseconds_and_iso_text_agree(con) -> None:
    seconds = np.random.default_rng(0).integers(-2_208_988_800, 4_102_444_799, 5000).tolist()  # 1900 to 2099
    expected = [datetime(1970, 1, 1) + timedelta(seconds=second) for second in seconds]
    parsed = values.timestamp("t", "VARCHAR")
    assert parsed is not None
    for texts in (
        [str(second) for second in seconds],
        [f"{second}.0" for second in seconds],
        [moment.isoformat() for moment in expected],
        [moment.isoformat(" ") + "+00:00" for moment in expected],
    ):
        rows = con.execute(
            f"SELECT {parsed.sql}, {parsed.wrong} FROM (SELECT unnest(?) AS t)", [texts]
        ).fetchall()
        assert rows == [(moment, False) for moment in expected]
    late = [second for second in seconds if abs(second) >= 100_000_000]
    rows = con.execute(
        f"SELECT {parsed.sql} FROM (SELECT unnest(?) AS t)", [[f"{second}000" for second in late]]
    ).fetchall()
    assert rows == [(datetime(1970, 1, 1) + timedelta(seconds=second),) for second in late]


def landing(raw, *moments: str) -> None:
    rows = "".join(f"u,i{number},{moment}\n" for number, moment in enumerate(moments))
    raw.write("interactions/new.csv", f"user_id,item_id,timestamp\n{rows}")


@pytest.mark.parametrize(
    ("every", "keys"),
    [
        ("year", ["2023", "2024"]),
        ("month", ["2023-12", "2024-01", "2024-03"]),
        ("week", ["2023-12-25", "2024-01-01", "2024-03-11"]),
        ("day", ["2023-12-31", "2024-01-01", "2024-01-07", "2024-03-11"]),
    ],
)
def test_windows_of_a_landing_file(empty, every: str, keys: list[str]) -> None:
    landing(
        empty,
        "2024-03-11",
        "2024-01-01",
        "2023-12-31T23:59:59",
        "2024-01-07T23:00:00",
        "",
        "2024-01-01T12:00:00",
    )
    source = empty.open()
    assert source.windows_of(empty.con, source.landings()[0], every) == keys


def test_a_landing_file_may_be_empty_if_another_is_not(empty) -> None:
    landing(empty)
    empty.write("interactions/old.csv", "user_id,item_id,timestamp\nu,a,2024-01-01\n")
    source = empty.open()
    assert source.windows_of(empty.con, source.landings()[0], "month") == []
    assert empty.interactions().height == 1
