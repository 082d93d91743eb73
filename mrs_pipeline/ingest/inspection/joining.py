"""Which column of the interactions names the items of which column of a catalogue: every pair is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrs_pipeline.ingest import values
from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.ids import IdOptions
from mrs_pipeline.ingest.sql import first_row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Pair:
    """A column of the interactions and one of a catalogue.

    Attributes:
        left: column of the interactions.
        right: column of the catalogue, which lists every item once.
        rows: interactions that name an item in `left`.
        joined: those whose item is in `right`.
    """

    left: str
    right: str
    rows: int
    joined: int

    @property
    def rate(self) -> float:
        """Share of the rows that find their item."""
        return self.joined / self.rows if self.rows else 0.0

    def sentence(self) -> str:
        """`asin = parent_asin joins 285 of 720 rows`."""
        return f"{self.left} = {self.right} joins {self.joined:,} of {self.rows:,} rows"


def counted_pairs(
    con: "DuckDBPyConnection",
    interactions: Sequence[DataFile],
    lefts: Sequence[str],
    catalogue: DataFile,
    rights: Sequence[str],
    *,
    ids: IdOptions,
) -> list[Pair]:
    """The pairs of candidates, in the order of the candidates, counted over all rows in one reading.

    A column of the catalogue that is empty in places or lists an item twice is no candidate.
    """
    keys = [right for right in rights if _is_key(con, catalogue, right, ids)]
    pairs = [(left, right) for left in lefts for right in keys]
    if not pairs:
        return []
    for number, right in enumerate(keys):
        with catalogue.reading():
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE key_{number} AS SELECT "
                f"{values.identifier_sql(right, catalogue.columns[right], ids)} AS key FROM ({catalogue.scan_sql()})"
            )
    counts = ", ".join(
        f"count(left_{lefts.index(left)}), count(*) FILTER (left_{lefts.index(left)} IN (SELECT key FROM "
        f"key_{keys.index(right)}))"
        for left, right in pairs
    )
    with interactions[0].reading():
        row = first_row(con, f"SELECT {counts} FROM ({_lefts(interactions, lefts, ids)})")
    found = [Pair(left, right, *row[2 * n : 2 * n + 2]) for n, (left, right) in enumerate(pairs)]
    for number in range(len(keys)):
        con.execute(f"DROP TABLE key_{number}")
    return found


def best(pairs: Sequence[Pair]) -> Pair | None:
    """The pair that joins most rows, the first of equals."""
    return max(pairs, key=lambda pair: pair.rate, default=None)


def _lefts(files: Sequence[DataFile], lefts: Sequence[str], ids: IdOptions) -> str:
    """SELECT of the candidates of all files as left_0, left_1, ...; NULL where a file lacks one."""

    def chosen(file: DataFile, column: str) -> str:
        sql = values.identifier_sql(column, file.columns[column], ids) if column in file.columns else None
        return sql or "CAST(NULL AS VARCHAR)"

    selects = []
    for file in files:
        columns = ", ".join(f"{chosen(file, left)} AS left_{number}" for number, left in enumerate(lefts))
        selects.append(f"SELECT {columns} FROM ({file.scan_sql()})")
    return " UNION ALL ".join(selects)


def _is_key(con: "DuckDBPyConnection", file: DataFile, column: str, ids: IdOptions) -> bool:
    sql = values.identifier_sql(column, file.columns[column], ids)
    if sql is None:
        return False
    with file.reading():
        rows, distinct = first_row(con, f"SELECT count(*), count(DISTINCT {sql}) FROM ({file.scan_sql()})")
    return bool(rows and distinct == rows)
