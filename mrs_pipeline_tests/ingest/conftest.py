"""A folder of raw files written in the test, and the shortest way to read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import Source

INTERACTIONS = "user_id,item_id,timestamp,rating\nu1,a,1704067200,4\nu1,b,1704153600,5\nu2,a,1706745600,3\n"
ITEMS = "item_id,title,description,colour\na,Apple,A red fruit,red\nb,Pear,,green\n"


@dataclass(frozen=True)
class RawFolder:
    """A source folder; by default with three interactions of two users and two items."""

    root: Path
    con: duckdb.DuckDBPyConnection

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def frame(self, name: str, columns: dict[str, Any]) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(columns).write_parquet(path)
        return path

    def open(self, **options: Any) -> Source:
        return open_source(source_options({"path": str(self.root), **options}), self.root)

    def interactions(self, **options: Any) -> pl.DataFrame:
        select = self.open(**options).interactions_sql(self.con)
        return self.con.sql(f"SELECT * FROM ({select}) ORDER BY source_file, source_row").pl()

    def items(self, **options: Any) -> pl.DataFrame:
        select = self.open(**options).items_sql(self.con)
        return self.con.sql(f"SELECT * FROM ({select}) ORDER BY item_id").pl()

    def describe(self, **options: Any) -> SourceFacts:
        return self.open(**options).describe(self.con)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    # A time zone far from UTC: what is read must not depend on where it is read.
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        yield connection


@pytest.fixture
def empty(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> RawFolder:
    root = tmp_path / "raw"
    root.mkdir()
    return RawFolder(root, con)


@pytest.fixture
def raw(empty: RawFolder) -> RawFolder:
    empty.write("interactions.csv", INTERACTIONS)
    empty.write("items.csv", ITEMS)
    return empty
