"""Whether one output of two homes has the same content: by digests, metrics by value, since they hold seconds."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from mrs_pipeline.tasks.node import Kind, Node
from mrs_pipeline.tasks.places import exists, is_directory, is_page, record, table_of
from mrs_pipeline.tasks.task import Stage

ABSENT: Final = "not stored any more"
_KEYS: Final = frozenset({"metric", "k", "slice", "seed"})
"""Columns that name a value of a metric."""


@dataclass(frozen=True)
class Reproduced:
    """One output, as it is recorded and as it was made again.

    Attributes:
        node: which.
        recorded / again: digests of both contents, or why there is none.
        difference: largest difference of a metric, where the output is one; None elsewhere.
    """

    node: Node
    recorded: str
    again: str
    difference: float | None = None

    @property
    def same(self) -> bool:
        """Whether both are equal; metrics by value."""
        return self.recorded == self.again if self.difference is None else self.difference == 0.0


def compared(original: Stage, again: Stage, node: Node) -> Reproduced:
    """An output of two homes; one that only one of the two has differs.

    Args:
        original: the dataset at a window.
        again: the same in another home.
        node: what of it.
    """
    one, other = (record(stage, node)[0] if exists(stage, node) else ABSENT for stage in (original, again))
    if node.kind is not Kind.METRICS or ABSENT in (one, other):
        return Reproduced(node, one, other)
    return Reproduced(node, one, other, _largest_difference(original, again, node))


def differing_rows(original: Stage, again: Stage, node: Node) -> list[str]:
    """How many rows of a table only one of two homes has, and the first of them, each a sentence; empty for arrays.

    The rows are compared in DuckDB, within its bounds of memory.
    """
    if is_directory(node) or is_page(node) or not (exists(original, node) and exists(again, node)):
        return []
    scans = [stage.lake.scan(table_of(stage, node)) for stage in (original, again)]
    found = []
    with original.lake.connect() as con:
        for one, other, whose in ((*scans, "first"), (*scans[::-1], "second")):
            only = f"(SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other})"
            rows = con.sql(f"SELECT count(*) FROM {only}").fetchall()[0][0]
            if rows:
                example = con.sql(f"SELECT * FROM {only} ORDER BY ALL LIMIT 1").pl().row(0, named=True)
                shown = ", ".join(f"{name} {value}" for name, value in example.items() if value is not None)
                found.append(f"{rows:,} rows only in the {whose}, such as {shown}")
    return found


def _largest_difference(original: Stage, again: Stage, node: Node) -> float:
    """The largest difference between two values of one metric; infinite where one of the two lacks a metric."""
    then, now = (stage.lake.read(table_of(stage, node)) for stage in (original, again))
    keys = [column for column in then.columns if column in _KEYS]
    both = then.join(now, on=keys, how="full", nulls_equal=True, suffix="_again")
    off = (pl.col("value") - pl.col("value_again")).abs()
    one_alone = pl.col("value").is_null() != pl.col("value_again").is_null()
    largest = both.select(pl.when(one_alone).then(float("inf")).otherwise(off.fill_null(0.0)).max()).item()
    return float(largest or 0.0)
