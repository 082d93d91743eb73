"""What a table's file is made of: columns with types and descriptions, and where each comes from.

One file a table builds on this, and adds what must hold of the table in the words of `quality`. Where tables are
kept is not known here: every SQL fragment that reads a table is handed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mrs_pipeline.tables.columns import Column

ColumnSources = tuple[tuple[str, str], ...]
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
    lineage: Mapping[str, ColumnSources] = field(default_factory=dict)
    open: bool = False


def copied(table: str, *columns: str) -> dict[str, ColumnSources]:
    """Lineage of columns that are taken over from another table under their own names."""
    return {column: ((table, column),) for column in columns}
