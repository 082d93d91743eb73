"""The expectations that tables are guarded by, as short words for Great Expectations' classes.

Each takes the sentence that it stands for, which reports show. What is expected of which table stands in the
table's file. Great Expectations takes seconds to import, so it is imported only when an expectation is made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Bound = float | datetime | None


def not_null(column: str, description: str, mostly: float = 1.0) -> "Expectation":
    """A value in every row, or in the share `mostly` of them."""
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
        ExpectColumnValuesToNotBeNull,
    )

    return ExpectColumnValuesToNotBeNull(column=column, mostly=mostly, description=description)


def no_offender(column: str, description: str) -> "Expectation":
    """NULL in every row, of a column whose values are what offends."""
    from great_expectations.expectations.core.expect_column_values_to_be_null import (
        ExpectColumnValuesToBeNull,
    )

    return ExpectColumnValuesToBeNull(column=column, description=description)


def no_row(description: str) -> "Expectation":
    """No row at all, of a frame whose rows are what offends."""
    from great_expectations.expectations.core.expect_table_row_count_to_equal import (
        ExpectTableRowCountToEqual,
    )

    return ExpectTableRowCountToEqual(value=0, description=description)


def some_rows(description: str) -> "Expectation":
    """At least one row."""
    from great_expectations.expectations.core.expect_table_row_count_to_be_between import (
        ExpectTableRowCountToBeBetween,
    )

    return ExpectTableRowCountToBeBetween(min_value=1, description=description)


def unique(column: str, description: str) -> "Expectation":
    """No value twice; rows without one do not count."""
    from great_expectations.expectations.core.expect_column_values_to_be_unique import (
        ExpectColumnValuesToBeUnique,
    )

    return ExpectColumnValuesToBeUnique(column=column, description=description)


def unique_together(columns: Sequence[str], description: str) -> "Expectation":
    """No combination of values twice."""
    from great_expectations.expectations.core.expect_compound_columns_to_be_unique import (
        ExpectCompoundColumnsToBeUnique,
    )

    return ExpectCompoundColumnsToBeUnique(column_list=list(columns), description=description)


def between(column: str, low: Bound, high: Bound, description: str, mostly: float = 1.0) -> "Expectation":
    """Every value, or the share `mostly` of them, in a closed interval that is open-ended where a bound is None.

    NULL does not count.
    """
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    return ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, mostly=mostly, description=description
    )


def one_of(column: str, values: Sequence[str | int], description: str) -> "Expectation":
    """Every value one of those named; NULL does not count."""
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    return ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=description)


def matches(column: str, pattern: str, description: str) -> "Expectation":
    """Every text fits a regular expression; NULL does not count."""
    from great_expectations.expectations.core.expect_column_values_to_match_regex import (
        ExpectColumnValuesToMatchRegex,
    )

    return ExpectColumnValuesToMatchRegex(column=column, regex=pattern, description=description)
