import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest

from mrs_pipeline.quality import expect
from mrs_pipeline.quality.expect import Expectation, Suite
from mrs_pipeline.quality.judging import check_suites
from mrs_pipeline.quality.report import SHOWN_VALUES, QualityReport, merged


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        yield con


def _checked(con: duckdb.DuckDBPyConnection, frame: str, *expectations: Expectation) -> QualityReport:
    return check_suites(con, [Suite(frame, expectations)])


def test_outcomes_come_in_the_order_of_the_expectations_with_what_was_observed(con) -> None:
    report = _checked(
        con,
        "SELECT * FROM (VALUES (1, 'x'), (2, NULL), (30, 'x')) AS t(a, b)",
        expect.between("a", 0, 10, "small"),
        expect.not_null("b", "named"),
        expect.unique_together(["a", "b"], "once"),
        expect.some_rows("some rows"),
    )
    assert [row.description for row in report.rows] == ["small", "named", "once", "some rows"]
    assert [row.success for row in report.rows] == [False, False, True, True]
    assert not report.success
    small, named, once, some = report.rows
    assert (small.observed, small.unexpected, small.column) == ("1 of 3 rows", ("30",), "a")
    assert (named.observed, named.expectation) == ("1 of 3 rows", "expect_column_values_to_not_be_null")
    assert named.unexpected == ()
    assert once.column == "a, b"
    assert some.observed == "3"
    assert report.failures == (small, named)


def test_a_report_shows_a_few_offenders_only(con) -> None:
    report = _checked(con, "SELECT range AS a FROM range(100)", expect.between("a", 1000, None, "large"))
    assert report.rows[0].observed == "100 of 100 rows"
    assert report.rows[0].unexpected == tuple(str(value) for value in range(SHOWN_VALUES))


def test_offenders_are_shown_as_people_write_them(con) -> None:
    frame = (
        "SELECT TIMESTAMP '1960-05-01 10:00:00' AS t, 2.5 AS r, repeat('x', 5000) AS s, 7 AS u FROM range(2)"
    )
    report = _checked(
        con,
        frame,
        expect.between("t", datetime(1970, 1, 1), None, "moment"),
        expect.between("r", 3, None, "number"),
        expect.one_of("s", ["it's"], "text"),
        expect.unique("u", "once"),
        expect.unique_together(["r", "u"], "once together"),
    )
    moment, number, text, once, together = (row.unexpected for row in report.rows)
    assert moment == ("1960-05-01 10:00:00",) * 2
    assert number == ("2.5", "2.5")
    assert len(text[0]) < 300
    assert once == ("7",)
    assert together == ("{'r': Decimal('2.5'), 'u': 7}",)


def test_what_cannot_be_evaluated_fails_and_says_why_and_the_rest_goes_on(con) -> None:
    report = _checked(
        con,
        "SELECT unnest(['x', '1']) AS a, unnest([1, 2]) AS n",
        expect.unique("b", "no b"),
        expect.between("a", 0, 1, "ordered"),
        expect.no_match("n", "x", "number as text"),
        expect.between("n", datetime(2024, 1, 1), None, "number as moment"),
        expect.one_of("n", ["1"], "number in texts"),
        expect.between("n", 1, 2, "fine"),
    )
    assert [row.success for row in report.rows] == [False] * 5 + [True]
    assert report.rows[0].observed == "not evaluated: there is no column 'b', only a, n"
    assert report.rows[1].observed == "not evaluated: column 'a' is VARCHAR, which cannot be compared with 0"
    assert all(row.observed.startswith("not evaluated: ") for row in report.failures)


def test_a_value_that_cannot_be_computed_fails_what_needs_it_and_no_more(con) -> None:
    report = _checked(
        con,
        "SELECT CAST(s AS INTEGER) AS a, n FROM (VALUES ('x', 1), ('1', 2)) AS t(s, n)",
        expect.between("a", 0, 1, "casts"),
        expect.between("n", 1, 2, "fine"),
    )
    assert [row.success for row in report.rows] == [False, True]
    assert "Conversion Error" in report.rows[0].observed


def test_a_frame_that_cannot_be_read_is_an_error(con, tmp_path) -> None:
    bad = tmp_path / "part.parquet"
    bad.write_bytes(b"PAR1 no")
    with pytest.raises(duckdb.Error, match=r"part\.parquet"):
        _checked(con, f"SELECT * FROM read_parquet('{bad}')", expect.some_rows("rows"))


def test_expectations_without_descriptions_of_their_own_are_refused() -> None:
    with pytest.raises(ValueError, match="its own description"):
        Suite("SELECT 1 AS a", [expect.unique("a", "same"), expect.not_null("a", "same")])


def test_two_suites_may_say_the_same(con) -> None:
    suites = [Suite(f"SELECT {value} AS a", [expect.between("a", 1, 1, "one")]) for value in (1, 2, 1)]
    assert [row.success for row in check_suites(con, suites).rows] == [True, False, True]


def test_empty_frames_hold_unless_rows_are_asked_for(con) -> None:
    report = _checked(
        con,
        "SELECT 1 AS a, 'x' AS b, TIMESTAMP '2024-01-01' AS t WHERE false",
        expect.between("a", 0, None, "between"),
        expect.not_null("b", "not null"),
        expect.unique("b", "unique"),
        expect.one_of("b", ["y"], "one of"),
        expect.no_offender("b", "no offender"),
        expect.unique_together(["a", "b"], "together"),
        expect.no_match("b", "x", "no match"),
        expect.no_row("no row"),
        expect.some_rows("some rows"),
    )
    assert [row.description for row in report.failures] == ["some rows"]


@pytest.mark.parametrize(
    "kind",
    ["TINYINT", "UTINYINT", "SMALLINT", "INTEGER", "BIGINT", "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL(9, 3)"],
)  # fmt: skip
def test_every_number_of_duckdb_is_compared_null_or_not(con, kind: str) -> None:
    for null in ("NULL", "2"):
        report = _checked(
            con,
            f"SELECT unnest([1, {null}, 3])::{kind} AS a",
            expect.between("a", 1, 3, "in"),
            expect.between("a", 1, 2, "out"),
            expect.unique("a", "u"),
        )
        assert [row.success for row in report.rows] == [True, False, True]


def test_a_share_is_of_the_rows_that_have_a_value(con) -> None:
    frame = "SELECT CASE WHEN range < 50 THEN range END AS a FROM range(100)"
    report = _checked(
        con,
        frame,
        expect.between("a", 10, None, "four of five", mostly=0.8),
        expect.between("a", 11, None, "not four of five", mostly=0.8),
        expect.not_null("a", "half", mostly=0.5),
        expect.not_null("a", "more than half", mostly=0.51),
    )
    assert [row.success for row in report.rows] == [True, False, True, False]


@pytest.mark.parametrize(
    ("values", "twice"),
    [
        ("(1, 1), (1, 2), (2, 1)", 0),
        ("(1, 1), (1, 2), (1, 2), (2, 1)", 2),
        ("(1, 1), (2, 1), (1, 1)", 2),
        ("(2, 1), (1, 1), (3, 3)", 0),
        ("(NULL, 1), (1, NULL), (1, NULL)", 2),
        ("(1, NULL), (1, 1), (1, 2)", 0),
        ("(NULL, NULL), (NULL, NULL), (1, 1)", 0),
        ("(1, 1), (NULL, NULL), (1, 1)", 2),
        ("(1, 1)", 0),
    ],
)
def test_repeated_rows_are_found_in_any_order(con, values: str, twice: int) -> None:
    for number in ("BIGINT", "DOUBLE", "VARCHAR"):
        frame = f"SELECT a::{number} AS a, b::{number} AS b FROM (VALUES {values}) AS t(a, b)"
        report = _checked(con, frame, expect.unique_together(["a", "b"], "once"))
        assert report.rows[0].observed.split()[0] == str(twice)
        assert report.success == (not twice)


def test_reports_are_put_together_in_order(con) -> None:
    parts = [_checked(con, "SELECT 1 AS a", expect.unique("a", name)) for name in "xy"]
    assert [row.description for row in merged(parts).rows] == ["x", "y"]
    assert merged([]) == check_suites(con, []) == QualityReport(())
    assert merged([]).success


def test_strange_column_names_and_values_are_quoted(con) -> None:
    report = _checked(
        con,
        """SELECT 'it''s' AS "a ""b"" c", 1 AS "select" """,
        expect.one_of('a "b" c', ["it's"], "text"),
        expect.unique_together(['a "b" c', "select"], "together"),
    )
    assert report.success


def test_declaring_expectations_imports_neither_great_expectations_nor_pandas() -> None:
    code = (
        "import sys, mrs_pipeline.quality.judging, mrs_pipeline.tables.raw_items as t; t.suites('x'); "
        "print('great_expectations' in sys.modules, 'pandas' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False False"


def test_no_row_of_a_large_frame_reaches_python(con, monkeypatch) -> None:
    """A million rows under a bound of memory that they would not fit in as Python objects; two aggregates come back."""
    con.execute("SET memory_limit = '300MB'")
    fetched: list[int] = []
    real = duckdb.DuckDBPyConnection.fetchall

    class Counting:
        def execute(self, sql: str) -> "Counting":
            con.execute(sql)
            return self

        def fetchall(self) -> list[tuple[object, ...]]:
            rows = real(con)
            fetched.append(len(rows))
            return rows

    frame = "SELECT range AS a, range % 500_000 AS b FROM range(1_000_000)"
    suite = Suite(frame, [expect.between("a", 0, None, "positive"), expect.unique("b", "once")])
    report = check_suites(Counting(), [suite])  # type: ignore[arg-type]
    assert [row.observed for row in report.rows] == ["0 of 1000000 rows", "1000000 of 1000000 rows"]
    assert max(fetched) <= SHOWN_VALUES
