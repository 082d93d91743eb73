"""A layout's table as one Parquet file, made when it is first read and kept until its files or its code change.

Every value is text until the shared readers check it (`interactions`, `items`); `mrs init` and each step of a run then
scan Parquet instead of unpacking and parsing again. Memory is DuckDB's bound.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.datafile import DataFile
from mrs_pipeline.ingest.layouts import workbench as tools
from mrs_pipeline.ingest.layouts.base import LayoutTable
from mrs_pipeline.ingest.layouts.workbench import Workbench
from mrs_pipeline.ingest.sql import quoted_text
from mrs_pipeline.machine import machine_fault

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONVERTED_FOLDER = "data/converted"
"""Where the Parquet files are, below the project's home. They can be deleted; what is needed is made again."""

_DIGITS = 24


@dataclass(frozen=True)
class Converter:
    """Makes the tables of one dataset's layout.

    Attributes:
        folder: where the Parquet files are kept.
        version: digest of the layout's code; another version makes them again.
    """

    folder: Path
    version: str

    def open(
        self,
        con: "DuckDBPyConnection",
        table: LayoutTable,
        part: str,
        interactions: tuple[DataFile, ...] = (),
    ) -> DataFile:
        """The table as a file of the shared readers, under the name of its first file.

        Args:
            con: the connection that converts, within its bound of memory.
            table: what to make.
            part: `interactions` or `items`.
            interactions: for items: the converted interactions, whose further items get a row of their own, so that
                no interaction is lost for want of a title.

        Raises:
            InputError: one of the files is broken; the sentence names it and where DuckDB knows it, the line.
        """
        path = self.folder / f"{self._name(table, part)}-{self._content(table, interactions)}.parquet"
        if not path.is_file():
            self._make(con, table, path, interactions)
        columns = {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {_scan(path)}").fetchall()}
        return DataFile(path, table.entries[0].shown, "parquet", columns)

    def remarks(self, table: LayoutTable, part: str) -> list[str]:
        """What was met when the table was last made; empty before it is made."""
        found = self.folder.glob(f"{self._name(table, part)}-*.parquet.json")
        return [remark for path in found for remark in json.loads(path.read_text(encoding="utf-8"))]

    def _make(
        self, con: "DuckDBPyConnection", table: LayoutTable, path: Path, interactions: tuple[DataFile, ...]
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = f"{os.getpid()}-{uuid4().hex[:8]}"
        temporary, bench = path.with_name(f".{path.name}-{mark}"), Workbench(self.folder / f".{mark}")
        try:
            _convert(con, table, bench, temporary, interactions)
            remarks = path.with_name(f"{path.name}.json")
            remarks.write_text(json.dumps(bench.remarks), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
            bench.clear()
        self._remove_former(path)

    def _remove_former(self, path: Path) -> None:
        """What earlier versions of the same table left."""
        table = path.name.partition("-")[0]
        for former in self.folder.glob(f"{table}-*"):
            if not former.name.startswith(path.name):
                former.unlink(missing_ok=True)

    def _name(self, table: LayoutTable, part: str) -> str:
        return _digest(part, *(f"{entry.path}\0{entry.member}" for entry in table.entries))

    def _content(self, table: LayoutTable, interactions: tuple[DataFile, ...]) -> str:
        states = [entry.path.stat() for entry in table.entries]
        files = (f"{state.st_size}\0{state.st_mtime_ns}" for state in states)
        return _digest(self.version, *files, *(file.path.name for file in interactions))


def _convert(
    con: "DuckDBPyConnection",
    table: LayoutTable,
    bench: Workbench,
    path: Path,
    interactions: tuple[DataFile, ...],
) -> None:
    import duckdb

    try:
        select = table.select(bench)
        if interactions:
            con.execute(f"CREATE OR REPLACE TEMP TABLE made_items AS {_unique(select)}")
            select = _completed(con, interactions, bench, table.entries[0].shown)
        con.execute(f"COPY ({select}) TO {quoted_text(path.as_posix())} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        raise InputError(machine_fault(error) or _fault(table, str(error))) from error
    finally:
        con.execute("DROP TABLE IF EXISTS made_items")


def _unique(select: str) -> str:
    """The first row of each item, in order; rows without an item are none."""
    return (
        f"SELECT * EXCLUDE (row_of_item) FROM (SELECT *, row_number() OVER () AS row_of_item FROM ({select})) "
        "WHERE item_id <> '' QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY row_of_item) = 1 "
        "ORDER BY row_of_item"
    )


def _completed(
    con: "DuckDBPyConnection", interactions: tuple[DataFile, ...], bench: Workbench, name: str
) -> str:
    """The items, and after them those that only the interactions know."""
    ids = " UNION ALL ".join(f"SELECT item_id FROM {_scan(file.path)}" for file in interactions)
    listed = "SELECT item_id FROM made_items"
    more = f"SELECT DISTINCT item_id FROM ({ids}) WHERE item_id <> '' AND item_id NOT IN ({listed})"
    (count,) = con.execute(f"SELECT count(*) FROM ({more})").fetchall()[0]
    if count:
        bench.remarks.append(
            f"items of the interactions without a row in {name}: {count:,}; they are kept, without content"
        )
    return f"SELECT * FROM made_items UNION ALL BY NAME (SELECT * FROM ({more}) ORDER BY item_id)"


def _fault(table: LayoutTable, message: str) -> str:
    names = [entry.shown for entry in table.entries]
    told = [entry.shown for entry in table.entries if entry.path.as_posix() in message] or names[:1]
    line = re.search(r"(?:on Line:|in line) (\d+)", message)
    where = f"{told[0]}, line {line.group(1)}" if line else told[0]
    first = next((each for each in message.strip().splitlines() if "rror" in each), message).strip()
    return f"{where} cannot be read ({first[:200].rstrip('. ')}); correct the line or download the file again"


def _scan(path: Path) -> str:
    return f"read_parquet({quoted_text(path.as_posix())}, hive_partitioning=false)"


def _digest(*parts: str) -> str:
    return sha256("\1".join(parts).encode()).hexdigest()[:_DIGITS]


def version_of(modules: Sequence[Path]) -> str:
    """Digest of the code that makes the tables."""
    files = sorted({*modules, Path(tools.__file__), Path(__file__)})
    return _digest(*(file.read_text(encoding="utf-8") for file in files))
