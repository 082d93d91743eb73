"""A folder in an official layout and the shortest way to read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from mrs_pipeline.ingest.layouts.source import LayoutSource
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline_tests.ingest.layouts import folders


@dataclass(frozen=True)
class Opened:
    """A folder, opened by its layout."""

    source: LayoutSource
    con: duckdb.DuckDBPyConnection

    @property
    def interactions(self) -> pl.DataFrame:
        return self.con.sql(
            f"SELECT * FROM ({self.source.interactions_sql(self.con)}) ORDER BY source_file, source_row"
        ).pl()

    @property
    def items(self) -> pl.DataFrame:
        return self.con.sql(f"SELECT * FROM ({self.source.items_sql(self.con)}) ORDER BY item_id").pl()

    def item(self, item_id: str) -> dict[str, Any]:
        """What is known of one item."""
        (row,) = self.items.filter(pl.col("item_id") == item_id).to_dicts()
        return {name: value for name, value in row.items() if value is not None}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    # A time zone far from UTC: what is read must not depend on where it is read.
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")
        yield connection


@pytest.fixture
def opened(tmp_path: Path, con: duckdb.DuckDBPyConnection) -> Callable[..., Opened]:
    """Opens a folder by the name of its layout."""

    def open_it(folder: Path, layout: str, **choices: str) -> Opened:
        settings = {"reader": "layout", "layout": layout, "path": str(folder), "choices": choices}
        source = open_source(source_options(settings), tmp_path / "home")
        assert isinstance(source, LayoutSource)
        return Opened(source, con)

    return open_it


@pytest.fixture
def made(tmp_path: Path, opened: Callable[..., Opened]) -> Callable[..., Opened]:
    """Writes one of the tiny folders and opens it."""

    def make_it(name: str, **choices: str) -> Opened:
        return opened(folders.make(tmp_path / "raw", name), folders.FOLDERS[name][0], **choices)

    return make_it
