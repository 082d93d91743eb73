"""How a suite of expectations fared, as plain records."""

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN_VALUES = 5
"""Offending values that a report shows."""


@dataclass(frozen=True)
class ExpectationOutcome:
    """One expectation and how it fared.

    Attributes:
        expectation: its type in Great Expectations, e.g. `expect_column_values_to_not_be_null`.
        column: the column or columns it looks at; empty for the table as a whole.
        description: the sentence that it stands for.
        observed: what was found: a number of rows, or how many of how many rows offend.
        success: whether it holds.
        unexpected: up to `SHOWN_VALUES` offending values, as text.
    """

    expectation: str
    column: str
    description: str
    observed: str
    success: bool
    unexpected: tuple[str, ...] = ()


@dataclass(frozen=True)
class QualityReport:
    """The outcomes of a suite, in its order."""

    rows: tuple[ExpectationOutcome, ...]

    @property
    def success(self) -> bool:
        """Whether every expectation holds."""
        return all(row.success for row in self.rows)

    @property
    def failures(self) -> tuple[ExpectationOutcome, ...]:
        """The outcomes that do not hold."""
        return tuple(row for row in self.rows if not row.success)


def merged(reports: Iterable[QualityReport]) -> QualityReport:
    """Several reports as one."""
    return QualityReport(tuple(row for report in reports for row in report.rows))
