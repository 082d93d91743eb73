import subprocess
import sys

import duckdb
import pandas as pd
import pytest

from mrs_pipeline.quality import SAMPLE, QualityReport, check_frame, merged
from mrs_pipeline.tables import expect

CON = duckdb.connect(config={"threads": 1})


def test_outcomes_come_in_the_order_of_the_expectations_with_what_was_observed() -> None:
    frame = pd.DataFrame({"a": [1, 2, 30], "b": ["x", None, "x"]})
    report = check_frame(
        frame,
        [
            expect.between("a", 0, 10, "small"),
            expect.not_null("b", "named"),
            expect.unique_together(["a", "b"], "once"),
            expect.some_rows("some rows"),
        ],
    )
    assert [row.description for row in report.rows] == ["small", "named", "once", "some rows"]
    assert [row.success for row in report.rows] == [False, False, True, True]
    assert not report.success
    small, named, once, some = report.rows
    assert (small.observed, small.unexpected, small.column) == ("1 of 3 rows", ("30",), "a")
    assert (named.observed, named.expectation) == ("1 of 3 rows", "expect_column_values_to_not_be_null")
    assert once.column == "a, b"
    assert some.observed == "3"
    assert report.failures == (small, named)


def test_a_report_shows_a_few_offenders_only() -> None:
    report = check_frame(pd.DataFrame({"a": range(100)}), [expect.between("a", 1000, None, "large")])
    assert report.rows[0].unexpected == tuple(str(value) for value in range(SAMPLE))


def test_what_cannot_be_evaluated_fails_and_says_why() -> None:
    report = check_frame(
        pd.DataFrame({"a": ["x", 1]}), [expect.unique("b", "no b"), expect.between("a", 0, 1, "ordered")]
    )
    assert [row.success for row in report.rows] == [False, False]
    assert all(row.observed.startswith("not evaluated: ") for row in report.rows)
    assert "b" in report.rows[0].observed


def test_expectations_without_descriptions_of_their_own_are_refused() -> None:
    with pytest.raises(ValueError, match="its own description"):
        check_frame(pd.DataFrame({"a": [1]}), [expect.unique("a", "same"), expect.not_null("a", "same")])


def test_empty_frames_hold_unless_rows_are_asked_for() -> None:
    frame = CON.sql("SELECT 1 AS a, 'x' AS b, TIMESTAMP '2024-01-01' AS t WHERE false").df()
    report = check_frame(
        frame,
        [
            expect.between("a", 0, None, "between"),
            expect.not_null("b", "not null"),
            expect.unique("b", "unique"),
            expect.one_of("b", ["y"], "one of"),
            expect.no_offender("b", "no offender"),
            expect.unique_together(["a", "b"], "together"),
            expect.matches("b", "y", "matches"),
            expect.no_row("no row"),
            expect.some_rows("some rows"),
        ],
    )
    assert [row.description for row in report.failures] == ["some rows"]


@pytest.mark.parametrize("kind", ["TINYINT", "INTEGER", "BIGINT", "UBIGINT", "FLOAT", "DOUBLE", "HUGEINT"])
def test_every_number_of_duckdb_is_compared_null_or_not(kind: str) -> None:
    for null in ("NULL", "2"):
        frame = CON.sql(f"SELECT unnest([1, {null}, 3])::{kind} AS a").df()
        expectations = [
            expect.between("a", 1, 3, "in"),
            expect.between("a", 1, 2, "out"),
            expect.unique("a", "u"),
        ]
        assert [row.success for row in check_frame(frame, expectations).rows] == [True, False, True]


def test_pandas_own_nullable_types_are_understood() -> None:
    frame = pd.DataFrame({"a": pd.array([1, None], "Int32"), "b": pd.array([True, None], "boolean")})
    report = check_frame(frame, [expect.between("a", 1, 1, "one"), expect.one_of("b", [1], "true")])
    assert report.success


def test_reports_are_put_together_in_order() -> None:
    frame = pd.DataFrame({"a": [1]})
    parts = [check_frame(frame, [expect.unique("a", name)]) for name in "xy"]
    assert [row.description for row in merged(parts).rows] == ["x", "y"]
    assert merged([]) == QualityReport(())
    assert merged([]).success


def test_importing_the_rooms_does_not_import_great_expectations() -> None:
    code = "import sys, mrs_pipeline.quality, mrs_pipeline.tables; print('great_expectations' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
