"""The SQL that counts how many rows of a frame break each expectation: one query a suite, one more a uniqueness.

The counts, and the examples of what is wrong, are all that leaves DuckDB. Uniqueness is counted by groups, which
DuckDB moves to disk beyond its memory bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mrs_pipeline.quality.expect import Bound, Expectation, Suite
from mrs_pipeline.quality.report import SHOWN_VALUES

if TYPE_CHECKING:
    import duckdb
    import polars as pl

_NUMBERS: Final = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "BOOLEAN",
)
_MOMENTS: Final = ("TIMESTAMP", "DATE")
_UNIQUE: Final = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
_LONGEST = 200
"""Characters of an example that are shown."""

Columns = Mapping[str, str]
"""Column -> DuckDB type."""


@dataclass(frozen=True)
class Count:
    """How many rows of a frame break an expectation.

    Attributes:
        rows: rows of the frame.
        counted: those that the expectation is about.
        offending: those of them that break it.
        reason: why it cannot be evaluated; the numbers are then 0.
    """

    rows: int = 0
    counted: int = 0
    offending: int = 0
    reason: str = ""


def counts_of(con: "duckdb.DuckDBPyConnection", suite: Suite) -> list[Count]:
    """Count what breaks each expectation of a suite, in the suite's order.

    An expectation that cannot be evaluated (a column is missing, values cannot be compared) says why; a frame that
    cannot be read is an error of DuckDB's.
    """
    import duckdb

    columns = columns_of(con, suite.frame_sql)
    reasons = [_mismatch(expectation, columns) for expectation in suite.expectations]
    sound = [one for one, reason in zip(suite.expectations, reasons, strict=True) if not reason]
    try:
        found = iter(_counted(con, suite.frame_sql, columns, sound))
    except (
        duckdb.DataError,
        duckdb.ProgrammingError,
    ):  # a value that cannot be converted stops the whole query
        found = iter([_counted_alone(con, suite.frame_sql, columns, one) for one in sound])
    return [Count(reason=reason) if reason else next(found) for reason in reasons]


def columns_of(con: "duckdb.DuckDBPyConnection", frame_sql: str) -> Columns:
    """The columns of a SELECT and their types."""
    return {str(name): str(kind) for name, kind, *_ in con.execute(f"DESCRIBE {frame_sql}").fetchall()}


def examples(con: "duckdb.DuckDBPyConnection", frame_sql: str, expectation: Expectation) -> tuple[str, ...]:
    """Up to `SHOWN_VALUES` values that break an expectation, as text; none where a value is what lacks."""
    if not expectation.columns or expectation.type == "expect_column_values_to_not_be_null":
        return ()
    columns = columns_of(con, frame_sql)
    names = ", ".join(_name(column) for column in expectation.columns)
    if expectation.type in _UNIQUE:
        query = f"{_groups(frame_sql, columns, expectation)} HAVING count(*) > 1 ORDER BY ALL"
        query = f"SELECT {names} FROM ({query})"
    else:
        query = f"SELECT {names} FROM ({frame_sql}) WHERE {_offends(expectation, columns)}"
    found = con.execute(f"{query} LIMIT {SHOWN_VALUES}").fetchall()
    if len(expectation.columns) == 1:
        return tuple(_shortened(str(value)) for (value,) in found)
    return tuple(_shortened(str(dict(zip(expectation.columns, row, strict=True)))) for row in found)


def broken_rows(con: "duckdb.DuckDBPyConnection", frame_sql: str, expectation: Expectation) -> "pl.DataFrame":
    """Up to `SHOWN_VALUES` whole rows that break an expectation; of a table that should be empty, its first ones."""
    columns = columns_of(con, frame_sql)
    if not expectation.columns or _mismatch(expectation, columns):
        where = "true" if expectation.type == "expect_table_row_count_to_equal" else "false"
    elif expectation.type in _UNIQUE:
        values = ", ".join(_value(column, columns) for column in expectation.columns)
        twice = f"{_groups(frame_sql, columns, expectation)} HAVING count(*) > 1"
        where = f"({values}) IN (SELECT ({', '.join(map(_name, expectation.columns))}) FROM ({twice}))"
    else:
        where = _offends(expectation, columns)
    found: pl.DataFrame = con.sql(f"SELECT * FROM ({frame_sql}) WHERE {where} LIMIT {SHOWN_VALUES}").pl()
    return found


def _counted(
    con: "duckdb.DuckDBPyConnection", frame_sql: str, columns: Columns, expectations: Sequence[Expectation]
) -> list[Count]:
    """The counts of expectations that fit the columns: one query for all, and one for each uniqueness."""
    rowwise = [one for one in expectations if one.columns and one.type not in _UNIQUE]
    filters = [
        count
        for one in rowwise
        for count in (_counted_rows(one, columns), f"count(*) FILTER (WHERE {_offends(one, columns)})")
    ]
    (row,) = con.execute(f"SELECT {', '.join(['count(*)', *filters])} FROM ({frame_sql})").fetchall()
    rows, numbers = int(row[0]), iter([int(number) for number in row[1:]])
    return [
        _repeated(con, frame_sql, columns, one, rows)
        if one.type in _UNIQUE
        else Count(rows, next(numbers), next(numbers))
        if one.columns
        else Count(rows, rows, rows)
        for one in expectations
    ]


def _counted_alone(
    con: "duckdb.DuckDBPyConnection", frame_sql: str, columns: Columns, expectation: Expectation
) -> Count:
    import duckdb

    try:
        (count,) = _counted(con, frame_sql, columns, [expectation])
    except (duckdb.DataError, duckdb.ProgrammingError) as error:
        return Count(reason=str(error).splitlines()[0])
    return count


def _repeated(
    con: "duckdb.DuckDBPyConnection", frame_sql: str, columns: Columns, expectation: Expectation, rows: int
) -> Count:
    """Rows whose combination of values another row has too.

    Rows that come in strictly rising order are all different, which one reading shows in constant memory and a tenth
    of the time; only others are grouped.
    """
    if _rises(con, frame_sql, columns, expectation):
        return Count(rows, rows, 0)
    groups = _groups(frame_sql, columns, expectation, "count(*) AS n")
    ((counted, offending),) = con.execute(
        f"SELECT coalesce(sum(n), 0), coalesce(sum(n) FILTER (n > 1), 0) FROM ({groups})"
    ).fetchall()
    return Count(rows, int(counted), int(offending))


def _rises(
    con: "duckdb.DuckDBPyConnection", frame_sql: str, columns: Columns, expectation: Expectation
) -> bool:
    """Whether every row but the first comes after the one before it; NULL comes after nothing, nothing after NULL."""
    values = [_value(column, columns) for column in expectation.columns]
    pairs = [f"{value} AS n{at}, lag({value}) OVER () AS b{at}" for at, value in enumerate(values)]
    later = "false"
    for at in reversed(range(len(values))):
        later = f"n{at} > b{at} OR (n{at} = b{at} AND ({later}))"
    ((first,),) = con.execute(
        f"SELECT count(*) FROM (SELECT {', '.join(pairs)} FROM ({frame_sql})) WHERE ({later}) IS NOT true"
    ).fetchall()
    return int(first) <= 1


def _groups(frame_sql: str, columns: Columns, expectation: Expectation, select: str = "") -> str:
    """SELECT of one row a combination of values; NULL and NaN are one value, rows of them alone are left out."""
    values = [f"{_value(column, columns)} AS {_name(column)}" for column in expectation.columns]
    names = [_name(column) for column in expectation.columns]
    known = " OR ".join(f"{name} IS NOT NULL" for name in names)
    frame = f"SELECT {', '.join(values)} FROM ({frame_sql})"
    return f"SELECT {select or ', '.join(names)} FROM ({frame}) WHERE {known} GROUP BY {', '.join(names)}"


def _counted_rows(expectation: Expectation, columns: Columns) -> str:
    """How many rows an expectation is about: those with a value, unless NULL is what it is about."""
    if expectation.type in ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null"):
        return "count(*)"
    return f"count({_value(expectation.columns[0], columns)})"


def _offends(expectation: Expectation, columns: Columns) -> str:
    """Predicate of the rows that break an expectation; not true where there is no value."""
    value, arguments = _value(expectation.columns[0], columns), expectation.arguments
    match expectation.type:
        case "expect_column_values_to_not_be_null":
            return f"{value} IS NULL"
        case "expect_column_values_to_be_null":
            return f"{value} IS NOT NULL"
        case "expect_column_values_to_be_between":
            bounds = (("<", arguments["min_value"]), (">", arguments["max_value"]))
            broken = [f"{value} {sign} {_literal(bound)}" for sign, bound in bounds if bound is not None]
            return f"({' OR '.join(broken or ['false'])})"
        case "expect_column_values_to_be_in_set":
            return f"{value} NOT IN ({', '.join(_literal(each) for each in arguments['value_set'])})"
        case "expect_column_values_to_not_match_regex":
            return f"regexp_matches({value}, {_literal(arguments['regex'])})"
    raise ValueError(f"{expectation.type} has no SQL")


def _mismatch(expectation: Expectation, columns: Columns) -> str:
    """Why an expectation cannot be evaluated on columns of these types; empty where it can."""
    for column in expectation.columns:
        if column not in columns:
            return f"there is no column '{column}', only {', '.join(columns)}"
    arguments = expectation.arguments
    asked: list[object] = [
        *arguments.get("value_set", ()),
        arguments.get("min_value"),
        arguments.get("max_value"),
    ]
    if "regex" in arguments:
        asked.append("")
    for value in asked if expectation.columns else ():
        column = expectation.columns[0]
        if value is not None and not _comparable(columns[column], value):
            return f"column '{column}' is {columns[column]}, which cannot be compared with {value!r}"
    return ""


def _comparable(kind: str, value: object) -> bool:
    """Whether a column's type and a value are of one sort; DuckDB itself would read numbers out of texts."""
    if isinstance(value, str):
        return kind == "VARCHAR" or kind.startswith("ENUM")
    if kind.endswith("]"):
        return False
    if isinstance(value, datetime):
        return kind.startswith(_MOMENTS)
    return kind.removeprefix("U").startswith(_NUMBERS)


def _value(column: str, columns: Columns) -> str:
    """A column with NULL in place of NaN, and truth as 1 and 0."""
    kind = columns[column]
    if kind == "BOOLEAN":
        return f"{_name(column)}::TINYINT"
    return f"nullif({_name(column)}, 'nan'::{kind})" if kind in ("FLOAT", "DOUBLE") else _name(column)


def _literal(value: Bound | str) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    return f"'{value!r}'::DOUBLE" if isinstance(value, float) else str(value)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
