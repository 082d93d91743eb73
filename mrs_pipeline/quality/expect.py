"""The words in which tables say what they expect, each named as Great Expectations names it.

Each takes the sentence that it stands for, which reports show. What is expected of which table stands in the
table's file; how it is counted is `counting`. NaN counts as NULL throughout, as it does in pandas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Bound = float | datetime | None


@dataclass(frozen=True)
class Expectation:
    """What should hold of a frame.

    Attributes:
        type: its name in Great Expectations.
        description: the sentence that it stands for.
        columns: the columns that it looks at; none where it is about the number of rows.
        arguments: its other arguments, as Great Expectations names them.
        mostly: share of the rows that count which must hold.
    """

    type: str
    description: str
    columns: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    mostly: float = 1.0


@dataclass(frozen=True)
class Suite:
    """A frame, given by a SELECT, and the expectations about it.

    Raises:
        ValueError: two expectations have the same description, so that a report could not tell them apart.
    """

    frame_sql: str
    expectations: Sequence[Expectation]

    def __post_init__(self) -> None:
        """Every sentence once."""
        if len({expectation.description for expectation in self.expectations}) < len(self.expectations):
            raise ValueError("every expectation of a suite needs its own description")


def not_null(column: str, description: str, mostly: float = 1.0) -> Expectation:
    """A value in every row, or in the share `mostly` of them."""
    return Expectation("expect_column_values_to_not_be_null", description, (column,), mostly=mostly)


def no_offender(column: str, description: str) -> Expectation:
    """NULL in every row, of a column whose values are what offends."""
    return Expectation("expect_column_values_to_be_null", description, (column,))


def no_row(description: str) -> Expectation:
    """No row at all, of a frame whose rows are what offends."""
    return Expectation("expect_table_row_count_to_equal", description, arguments={"value": 0})


def some_rows(description: str) -> Expectation:
    """At least one row."""
    return Expectation("expect_table_row_count_to_be_between", description, arguments={"min_value": 1})


def unique(column: str, description: str) -> Expectation:
    """No value twice; rows without one do not count."""
    return Expectation("expect_column_values_to_be_unique", description, (column,))


def unique_together(columns: Sequence[str], description: str) -> Expectation:
    """No combination of values twice; rows that have none of the values do not count."""
    return Expectation("expect_compound_columns_to_be_unique", description, tuple(columns))


def between(column: str, low: Bound, high: Bound, description: str, mostly: float = 1.0) -> Expectation:
    """Every value, or the share `mostly` of them, in a closed interval that is open-ended where a bound is None.

    NULL does not count. Numbers are compared with numbers and moments with moments.

    Raises:
        ValueError: there is no bound at all.
    """
    if low is None and high is None:
        raise ValueError(f"'{description}' needs a bound")
    bounds = {"min_value": low, "max_value": high}
    return Expectation("expect_column_values_to_be_between", description, (column,), bounds, mostly)


def one_of(column: str, values: Sequence[str | int], description: str) -> Expectation:
    """Every value one of those named; NULL does not count."""
    arguments = {"value_set": list(values)}
    return Expectation("expect_column_values_to_be_in_set", description, (column,), arguments)


def no_match(column: str, pattern: str, description: str) -> Expectation:
    """No text has a part that fits a regular expression of RE2's syntax; NULL does not count."""
    arguments = {"regex": pattern}
    return Expectation("expect_column_values_to_not_match_regex", description, (column,), arguments)
