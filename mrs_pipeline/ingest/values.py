"""SQL expressions that turn a raw column into its canonical type, and say when a value cannot be turned.

Text in, text out; nothing is executed here. Which columns there are is decided in `interactions` and `items`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mrs_pipeline.ingest.ids import LITERAL, IdOptions, cleaned
from mrs_pipeline.ingest.sql import quoted_name, quoted_text
from mrs_pipeline.ingest.time_units import TimeUnit
from mrs_pipeline.schema import TEST, TRAIN, VALID

KNOWN_SPLITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("valid", "validation", "val", "dev"), VALID),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""Spelling in a file (case is ignored) -> our label."""

_NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_OFFSET = r"(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"

_MILLISECONDS_FROM = 1e11
"""Unix seconds reach this in the year 5138, milliseconds passed it in 1973."""
_TOO_LARGE = 1e14
"""From here on a number is micro- or nanoseconds, which are read only if the settings say so."""

_IN_SECONDS: Final[Mapping[str, str]] = {
    "s": "{0}",
    "ms": "{0} / 1e3",
    "us": "{0} / 1e6",
    "ns": "{0} / 1e9",
    "day": "{0} * 86400",
    "excel": "({0} - 25569) * 86400",
}
"""Unit -> seconds since 1970; Excel counts days from 1899-12-30."""
_FURTHEST = 2.5e11
"""Seconds that still make a timestamp, in either direction (about 8,000 years)."""


@dataclass(frozen=True)
class Value:
    """A canonical column as SQL.

    Attributes:
        sql: the typed value, NULL where the raw value is empty or wrong.
        wrong: predicate, true where the raw value is there but cannot be turned.
        shown: the raw value as text, for messages.
    """

    sql: str
    wrong: str
    shown: str


def kind_of(duckdb_type: str) -> str:
    """`text`, `integer`, `decimal`, `moment`, `zoned`, `list` or `other`."""
    if duckdb_type in ("VARCHAR", "JSON") or duckdb_type.startswith("ENUM"):
        return "text"
    if re.fullmatch(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", duckdb_type):
        return "integer"
    if duckdb_type in ("DOUBLE", "FLOAT") or duckdb_type.startswith("DECIMAL"):
        return "decimal"
    if duckdb_type == "TIMESTAMP WITH TIME ZONE":
        return "zoned"
    if duckdb_type == "DATE" or duckdb_type.startswith("TIMESTAMP"):
        return "moment"
    return "list" if duckdb_type.endswith("[]") else "other"


def identifier_sql(column: str, duckdb_type: str, ids: IdOptions = LITERAL) -> str | None:
    """An id as VARCHAR, NULL where it names nobody; None if the type cannot be an id.

    A column of whole numbers that a missing value has turned into floats gives `12`, not `12.0`.
    """
    name, kind = quoted_name(column), kind_of(duckdb_type)
    if kind == "decimal":
        # NaN and infinity equal themselves truncated, and become NULL.
        whole = f"CAST(TRY_CAST({name} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN {name} = trunc({name}) THEN {whole} ELSE CAST({name} AS VARCHAR) END"
    if kind == "text":
        return cleaned(f"CAST({name} AS VARCHAR)", ids)
    return f"CAST({name} AS VARCHAR)" if kind == "integer" or duckdb_type == "UUID" else None


def text(column: str, duckdb_type: str) -> str:
    """Any column as VARCHAR, NULL where empty; the elements of a list joined by `|`, also of a list in JSON."""
    name = quoted_name(column)
    if duckdb_type == "JSON":
        raw = f"CAST({name} AS VARCHAR)"
        joined = f"""array_to_string(from_json({raw}, '["VARCHAR"]'), '|')"""
        is_list = f"starts_with({raw}, '[') AND json_valid({raw})"
        return f"NULLIF(CASE WHEN {is_list} THEN {joined} ELSE {raw} END, '')"
    if kind_of(duckdb_type) == "list":
        return f"NULLIF(array_to_string(CAST({name} AS VARCHAR[]), '|'), '')"
    return f"NULLIF(CAST({name} AS VARCHAR), '')"


def timestamp(column: str, duckdb_type: str, unit: TimeUnit = "auto") -> Value | None:
    """Numbers of a unit, ISO 8601 text or a date type as TIMESTAMP in UTC; None for another type.

    Without a unit, numbers are unix seconds or milliseconds, told apart by their size, and eight digits that form a
    date are one.
    """
    name, kind = quoted_name(column), kind_of(duckdb_type)
    if kind == "text":
        raw = f"NULLIF(trim({name}), '')"
        return _checked(raw, _text_moment(raw, unit))
    if kind == "integer":
        return _checked(name, _text_moment(f"CAST({name} AS VARCHAR)", unit))
    if kind == "decimal":
        return _checked(name, _number_moment(f"CAST({name} AS DOUBLE)", unit))
    if kind == "moment":
        return _checked(name, f"CASE WHEN isfinite({name}) THEN CAST({name} AS TIMESTAMP) END")
    if kind == "zoned":
        return _checked(name, f"CASE WHEN isfinite({name}) THEN make_timestamp(epoch_us({name})) END")
    return None


def number(column: str, duckdb_type: str) -> Value | None:
    """A finite DOUBLE; None if the type holds no numbers."""
    name, kind = quoted_name(column), kind_of(duckdb_type)
    if kind not in ("text", "integer", "decimal"):
        return None
    raw = f"NULLIF(trim({name}), '')" if kind == "text" else name
    parsed = f"TRY_CAST({raw} AS DOUBLE)"
    return _checked(raw, f"CASE WHEN isfinite({parsed}) THEN {parsed} END")


def split(column: str, duckdb_type: str, labels: Mapping[str, str]) -> Value | None:
    """`train`, `valid` or `test`; None if the type cannot be a label."""
    if identifier_sql(column, duckdb_type) is None:
        return None
    raw = f"NULLIF(trim({identifier_sql(column, duckdb_type)}), '')"
    cases = " ".join(f"WHEN {quoted_text(name)} THEN {quoted_text(label)}" for name, label in labels.items())
    return _checked(raw, f"CASE lower({raw}) {cases} END")


def _checked(raw: str, sql: str) -> Value:
    return Value(sql, f"({raw} IS NOT NULL AND ({sql}) IS NULL)", f"CAST({raw} AS VARCHAR)")


def _text_moment(raw: str, unit: TimeUnit) -> str:
    # Eight digits that form a date of this or the last century are ISO 8601's basic form; as seconds they
    # would all fall into the summer of 1970.
    day = f"try_strptime({raw}, '%Y%m%d')"
    joined = f"regexp_replace(replace({raw}, 'UTC', 'Z'), ' ?(Z|[+-][0-9:]+)$', '\\1')"
    zoned = f"make_timestamp(epoch_us(TRY_CAST({joined} AS TIMESTAMPTZ)))"
    digits = f"WHEN regexp_full_match({raw}, '(19|20)[0-9]{{6}}') AND {day} IS NOT NULL THEN {day} "
    number = _number_moment(f"TRY_CAST({raw} AS DOUBLE)", unit)
    return (
        f"CASE {digits if unit == 'auto' else ''}WHEN regexp_full_match({raw}, '{_NUMBER}') THEN {number} "
        f"WHEN regexp_full_match({raw}, '{_DATE}({_CLOCK})?') THEN TRY_CAST({raw} AS TIMESTAMP) "
        f"WHEN regexp_full_match({raw}, '{_DATE}{_CLOCK} ?{_OFFSET}') THEN {zoned} END"
    )


def _number_moment(value: str, unit: TimeUnit) -> str:
    """A number of a unit as a moment; without one, seconds or milliseconds since 1970, told apart by their size."""
    if unit == "year":
        year = f"{value} = trunc({value}) AND {value} BETWEEN 1 AND 9999"
        return f"CASE WHEN {year} THEN make_timestamp(CAST({value} AS BIGINT), 1, 1, 0, 0, 0.0) END"
    if unit != "auto":
        seconds = _IN_SECONDS[unit].format(value)
        moment = f"make_timestamp(CAST(round(({seconds}) * 1e6) AS BIGINT))"
        return f"CASE WHEN abs({seconds}) < {_FURTHEST:.0f} THEN {moment} END"
    seconds = f"CASE WHEN abs({value}) < {_MILLISECONDS_FROM:.0f} THEN {value} ELSE {value} / 1000 END"
    # NaN compares greater than every number in DuckDB, so it is refused here too.
    microseconds = f"CAST(round(({seconds}) * 1e6) AS BIGINT)"
    return f"CASE WHEN abs({value}) < {_TOO_LARGE:.0f} THEN make_timestamp({microseconds}) END"
