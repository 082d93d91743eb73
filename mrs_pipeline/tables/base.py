"""What a table's file is made of: columns with types and descriptions, where each comes from, what must hold.

One file a table builds on this. How expectations are run is `quality`; where tables are kept is not known
here: every SQL fragment that reads a table is handed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mrs_pipeline.quality import QualityReport, check_frame, merged
from mrs_pipeline.tables.columns import Column

if TYPE_CHECKING:
    import duckdb
    from great_expectations.expectations.expectation import Expectation

Sources = tuple[tuple[str, str], ...]
"""(table, column) pairs that a column is computed from."""


@dataclass(frozen=True)
class TableSchema:
    """What a table is.

    Attributes:
        path: `schema/name`.
        description: what one row is.
        columns: name -> type, unit and meaning (`columns.listed`), in order, without partition keys.
        lineage: column -> the columns it is computed from; columns that arise here are absent.
        open: whether further columns may follow (attributes of a catalogue, metrics of a leaderboard).
    """

    path: str
    description: str
    columns: Mapping[str, Column]
    lineage: Mapping[str, Sources] = field(default_factory=dict)
    open: bool = False


@dataclass(frozen=True)
class Suite:
    """A frame, given by SQL, and the expectations about it."""

    frame_sql: str
    expectations: "Sequence[Expectation]"


def check_suites(con: "duckdb.DuckDBPyConnection", suites: Sequence[Suite]) -> QualityReport:
    """Fetch each suite's frame as pandas and run its expectations; the reports are put together in order."""
    return merged(check_frame(con.sql(suite.frame_sql).df(), suite.expectations) for suite in suites)


def copied(table: str, *columns: str) -> dict[str, Sources]:
    """Lineage of columns that are taken over from another table under their own names."""
    return {column: ((table, column),) for column in columns}
