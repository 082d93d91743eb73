"""Each expectation's SQL finds what Great Expectations finds on the same rows in pandas."""

from datetime import datetime

import duckdb
import pytest

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.counting import columns_of
from mrs_pipeline.quality.expect import Expectation, Suite
from mrs_pipeline.quality.judging import check_suites
from mrs_pipeline_tests.quality.pandas_oracle import found_by_pandas

FRAMES = {
    "whole numbers": "SELECT unnest([1, 2, 2, -5, 30])::BIGINT AS a",
    "whole numbers and NULL": "SELECT unnest([1, NULL, 3, NULL, 3])::INTEGER AS a",
    "huge numbers": "SELECT unnest([1, 2, 9007199254740993])::HUGEINT AS a",
    "decimals": "SELECT unnest([0.5, 1.25, 1.25, NULL])::DOUBLE AS a",
    "NaN and infinities": "SELECT unnest(['nan', 'infinity', '-infinity', '1', '1', NULL, 'nan']::DOUBLE[]) AS a",
    "short floats": "SELECT unnest(['nan', 'infinity', '0.5', '2']::FLOAT[]) AS a",
    "NaN alone": "SELECT unnest(['nan', 'nan']::DOUBLE[]) AS a",
    "NULL alone": "SELECT unnest([NULL, NULL])::DOUBLE AS a",
    "no row": "SELECT 1::BIGINT AS a WHERE false",
    "truth": "SELECT unnest([true, false, NULL]) AS a",
    "texts": "SELECT unnest(['x', 'y', '', NULL, 'x', 'nan']) AS a",
    "texts of many lines": "SELECT unnest(['a' || chr(10) || 'b', 'Ärger', '  ', 'b']) AS a",
    "no text": "SELECT 'x' AS a WHERE false",
    "moments": "SELECT unnest(['1969-12-31 23:59:59.999', '1970-01-01', '2024-06-01', NULL]::TIMESTAMP[]) AS a",
    "days": "SELECT unnest(['1969-12-31', '2024-06-01', NULL]::DATE[]) AS a",
    "far moments": "SELECT unnest(['0900-01-01', '9999-12-31', '2024-01-01']::TIMESTAMP[]) AS a",
    "no moment": "SELECT TIMESTAMP '2024-01-01' AS a WHERE false",
}  # fmt: skip
NUMBERS = (
    expect.between("a", 1, 3, "from 1 to 3"),
    expect.between("a", 0.5, None, "from a half"),
    expect.between("a", None, 1, "to 1"),
    expect.between("a", 1, None, "mostly from 1", mostly=0.5),
    expect.one_of("a", [1, 2], "1 or 2"),
)
TEXTS = (
    expect.one_of("a", ["x", "y", "it's"], "x or y"),
    expect.no_match("a", "x", "no x"),
    expect.no_match("a", "^$", "not empty"),
    expect.no_match("a", r"^b|\s$", "no b in front, no blank at the end"),
)
MOMENTS = (
    expect.between("a", datetime(1970, 1, 1), None, "from 1970"),
    expect.between("a", None, datetime(2024, 6, 1), "until June"),
    expect.between("a", datetime(1970, 1, 1), datetime(2024, 6, 1), "mostly in between", mostly=0.75),
)
ANY = (
    expect.not_null("a", "always"),
    expect.not_null("a", "mostly there", mostly=0.6),
    expect.no_offender("a", "never"),
    expect.unique("a", "once"),
    expect.unique_together(["a", "b"], "a and b once"),
    expect.no_row("no row"),
    expect.some_rows("some rows"),
)


def _about(con: duckdb.DuckDBPyConnection, frame: str) -> tuple[Expectation, ...]:
    kind = columns_of(con, frame)["a"]
    if kind == "VARCHAR":
        return (*ANY, *TEXTS)
    return (*ANY, *(MOMENTS if kind in ("TIMESTAMP", "DATE") else NUMBERS))


@pytest.mark.parametrize("name", FRAMES)
def test_what_duckdb_counts_is_what_pandas_finds(name: str) -> None:
    numbered = f"SELECT *, row_number() OVER () AS n FROM ({FRAMES[name]})"
    frame = f"SELECT a, CASE WHEN n > 2 THEN 'late' END AS b FROM ({numbered})"
    with duckdb.connect(config={"threads": 1}) as con:
        expectations = _about(con, frame)
        report = check_suites(con, [Suite(frame, expectations)])
        found = found_by_pandas(con.sql(frame).df(), expectations)
    for row, (success, offending) in zip(report.rows, found, strict=True):
        assert not row.observed.startswith("not evaluated"), row
        assert row.success == success, row
        assert offending is None or row.observed.split(" of ")[0] == str(offending), row
    assert {offending is None for _, offending in found} == {False}


@pytest.mark.parametrize(
    "frame",
    [
        "SELECT unnest([[1], NULL, [1], [2, 3]]) AS a",
        "SELECT unnest([{'x': 1}, NULL, {'x': 2}]) AS a",
        "SELECT unnest(['a'::BLOB, NULL, 'b'::BLOB]) AS a",
        "SELECT unnest([TIMESTAMPTZ '2024-01-01', NULL, TIMESTAMPTZ '2024-01-01']) AS a",
    ],
)
def test_lists_and_the_like_are_there_or_not_and_once_or_not(frame: str) -> None:
    expectations = (
        expect.not_null("a", "always"),
        expect.not_null("a", "mostly there", mostly=0.6),
        expect.no_offender("a", "never"),
        expect.unique("a", "once"),
    )
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        report = check_suites(con, [Suite(frame, expectations)])
        values = [repr(value) for (value,) in con.execute(frame).fetchall() if value is not None]
    always, mostly, never, once = report.rows
    assert [always.observed.split()[0], never.observed.split()[0]] == ["1", str(len(values))]
    assert (always.success, mostly.success, never.success) == (False, True, False)
    twice = sum(values.count(value) > 1 for value in values)
    assert (once.success, once.observed.split()[0]) == (not twice, str(twice))


def test_random_frames_are_judged_alike() -> None:
    expectations = (*ANY, *NUMBERS)
    for seed in range(12):
        with duckdb.connect(config={"threads": 1}) as con:
            con.execute(f"SELECT setseed({seed / 100})")
            con.execute(
                "CREATE TABLE frame AS SELECT CASE WHEN random() < 0.2 THEN NULL WHEN random() < 0.1 THEN 'nan' "
                "WHEN random() < 0.1 THEN 'infinity' ELSE (random() * 8)::INTEGER / 2 END::DOUBLE AS a, "
                "CASE WHEN random() < 0.3 THEN NULL ELSE chr(97 + (random() * 3)::INTEGER) END AS b "
                f"FROM range({seed * 4})"
            )
            report = check_suites(con, [Suite("SELECT * FROM frame", expectations)])
            found = found_by_pandas(con.sql("SELECT * FROM frame").df(), expectations)
        shown = [(row.success, row.observed.split(" of ")[0]) for row in report.rows]
        assert shown == [(success, str(offending)) for success, offending in found]
