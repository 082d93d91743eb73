"""Parquet tables: one file a partition, replaced as a whole, with its manifest inside the file.

Layout: `<root>/<schema>/<table>/dataset=<d>/window=<w>/[model=<m>/seed=<s>/]part.parquet`. Because the
manifest (digest, rows, provenance) travels in the Parquet key-value metadata, one rename publishes rows and
manifest together: who opens the file sees the old partition or the new one. DuckDB opens a file twice (to
plan, and to scan), so a query that runs while a partition it reads is replaced must be asked again; the
orchestrator orders writers before readers, and `catalogue.query` asks again itself.

What the columns mean belongs to `tables`; the SQL views over all partitions to `catalogue`.
"""

import glob
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
from filelock import FileLock

from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.schema import DATASET, FULL_WINDOW, SEED, WINDOW
from mrs_pipeline.storage.connection import open_memory
from mrs_pipeline.storage.digests import file_digest, rows_digest
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.sql import literal
from mrs_pipeline.storage.table import Table, TableManifest, is_safe_name

__all__ = ["PART", "Lake", "Table", "TableManifest"]

PART = "part.parquet"
_MANIFEST_KEY = "mrs_manifest"
_MARK = ".sha256-"


class Lake:
    """The Parquet tables under one folder. Safe to use from many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def connect(self) -> duckdb.DuckDBPyConnection:
        """An in-memory connection in UTC for transformations; close it after use.

        Bounds and their variables: see `database`. What exceeds the memory spills to the lake's disk.

        Raises:
            InputError: a bound in the environment cannot be understood.
        """
        return open_memory(self.root / ".spill")

    def write(
        self, con: duckdb.DuckDBPyConnection, table: Table, query: str, provenance: Provenance
    ) -> TableManifest:
        """Replace a partition by the rows of a query, in the query's order.

        The rows are staged in a temporary table of `con` (which spills to disk beyond its memory bound),
        since their digest must be known before the file is begun.

        Raises:
            InputError: a column is named like a partition key.
            ValueError: other partitions of the table have other keys.
        """
        staged = f"staged_{_token()}"
        con.execute(f"CREATE TEMP TABLE {staged} AS {query}")
        try:
            return self.write_table(con, table, staged, provenance)
        finally:
            con.execute(f"DROP TABLE {staged}")

    def write_table(
        self, con: duckdb.DuckDBPyConnection, table: Table, relation: str, provenance: Provenance
    ) -> TableManifest:
        """Replace a partition by the rows of a table of `con`, in their order, without another copy of them.

        Raises:
            InputError: a column is named like a partition key.
            ValueError: other partitions of the table have other keys.
        """
        columns = {str(name): str(kind) for name, kind, *_ in con.execute(f"DESCRIBE {relation}").fetchall()}
        self._check_columns(table, columns)
        rows = int(con.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
        manifest = TableManifest(table, rows_digest(con, relation), rows, columns, provenance)
        self._publish(con, relation, manifest)
        return manifest

    def write_frame(self, table: Table, frame: pl.DataFrame, provenance: Provenance) -> TableManifest:
        """Replace a partition by a frame's rows, in their order."""
        with self.connect() as con:
            con.register("frame_to_write", frame.to_arrow())
            return self.write(con, table, "SELECT * FROM frame_to_write", provenance)

    def exists(self, table: Table) -> bool:
        """Whether the partition has been written."""
        return self._part(table).is_file()

    def size(self, table: Table) -> int:
        """Bytes of a partition's file.

        Raises:
            InputError: the partition is absent.
        """
        self._require(table)
        return self._part(table).stat().st_size

    def files(self, table: Table) -> list[Path]:
        """A partition's file and the marks beside it that say its digest.

        Raises:
            InputError: the partition is absent.
        """
        self._require(table)
        part = self._part(table)
        return [part, *sorted(part.parent.glob(f"{_MARK}*"))]

    def stamp(self, table: Table) -> tuple[int, int]:
        """Size and time of change of a partition's file."""
        status = self._part(table).stat()
        return status.st_size, status.st_mtime_ns

    def manifest(self, table: Table) -> TableManifest:
        """Read a partition's manifest without reading its rows.

        Raises:
            InputError: the partition is absent.
            UnreadableError: its file is damaged, or carries no manifest.
        """
        text = self._footer(table).get(_MANIFEST_KEY)
        try:
            return TableManifest.from_json(text or "")
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable(table, "was not written by mrs") from error

    def scan(self, *tables: Table) -> str:
        """SQL that reads partitions of one table: a `read_parquet(...)` to put after FROM, without the keys.

        A column that some of several partitions lack is NULL there.

        Raises:
            InputError: a partition is absent.
            UnreadableError: a file is damaged.
        """
        for table in tables:
            self._footer(table)
        files = ", ".join(literal(glob.escape(str(self._part(table)))) for table in tables)
        return f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"

    def scan_all(self, schema: str, name: str, **keys: str | int) -> str:
        """SQL that reads all partitions of a table whose keys agree, with every key as a column.

        Partitions that are written later are read too, if at least one exists now. Keys are VARCHAR, but
        `seed` is INTEGER.

        Raises:
            InputError: no such partition exists.
        """
        found = self.partitions(schema, name, **keys)
        if not found:
            raise InputError(_absent(Table.of(schema, name, **keys)))
        folders = (f"{key}={keys[key]}" if key in keys else f"{key}=*" for key, _ in found[0].keys)
        pattern = "/".join((glob.escape(str(self.root / schema / name)), *folders, PART))
        return _hive_scan(literal(pattern), found[0])

    def scan_these(self, tables: Sequence[Table]) -> str:
        """SQL that reads some partitions of one table, at least one, with every key as a column."""
        files = ", ".join(literal(glob.escape(str(self._part(table)))) for table in tables)
        return _hive_scan(f"[{files}]", tables[0])

    def read(self, table: Table) -> pl.DataFrame:
        """A partition's rows, without the keys.

        Raises:
            InputError: the partition is absent.
            UnreadableError: its file is damaged.
        """
        self._require(table)
        try:
            return pl.read_parquet(self._part(table), hive_partitioning=False)
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(table, _damaged(error)) from error

    def fault(self, table: Table) -> str | None:
        """What is wrong with a partition's file, in words; None where its bytes are what was written."""
        try:
            self.manifest(table)
        except UnreadableError as error:
            return str(error).partition(" ")[2].partition(":")[0]
        part = self._part(table)
        return None if _mark(part.parent, file_digest(part)).exists() else "is not what was written"

    def partitions(self, schema: str, name: str, **keys: str | int) -> list[Table]:
        """The written partitions of a table whose keys agree with those given, sorted.

        A value may hold `*`, which stands for any text. Only folders that agree are looked into.
        """
        sibling = next(self._partitions(schema, name), None)
        names = [key for key, _ in sibling.keys] if sibling else []
        if sibling is None or not keys.keys() <= set(names):
            return []
        return sorted(self._partitions(schema, name, *(f"{key}={keys.get(key, '*')}" for key in names)))

    def tables(self) -> list[tuple[str, str]]:
        """(schema, name) of every table that has at least one partition, sorted."""
        folders = (folder for folder in self.root.glob("*/*") if is_safe_name(folder.parent.name))
        named = sorted((folder.parent.name, folder.name) for folder in folders)
        return [pair for pair in named if next(self._partitions(*pair), None) is not None]

    def delete(self, table: Table) -> None:
        """Remove a partition; nothing happens where it is absent."""
        if self.exists(table):
            with self._writing(table):
                self._part(table).unlink(missing_ok=True)
                for mark in self._part(table).parent.glob(f"{_MARK}*"):
                    mark.unlink()

    def _publish(self, con: duckdb.DuckDBPyConnection, relation: str, manifest: TableManifest) -> None:
        with self._writing(manifest.table) as folder:
            temporary = folder / f".{_token()}.parquet"
            con.execute(
                f"COPY (FROM {relation}) TO {literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd, "
                f"KV_METADATA {{{_MANIFEST_KEY}: {literal(manifest.to_json())}}})"
            )
            _flush(temporary)
            mark = _mark(folder, file_digest(temporary))
            mark.touch()
            temporary.replace(folder / PART)
            for other in folder.glob(f"{_MARK}*"):
                if other != mark:
                    other.unlink()

    @contextmanager
    def _writing(self, table: Table) -> Iterator[Path]:
        """Hold the partition's write lock; temporary files of a killed writer are removed, as none can own it."""
        folder = self._part(table).parent
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for leftover in folder.glob(".*.parquet"):
                leftover.unlink()
            yield folder

    def _check_columns(self, table: Table, columns: Mapping[str, str]) -> None:
        clash = {key for key, _ in table.keys} & {column.lower() for column in columns}
        if clash:
            raise InputError(
                f"{table} cannot have a column named {min(clash)!r}, its partition key: rename it."
            )
        sibling = next(self._partitions(table.schema, table.name), table)
        if [key for key, _ in sibling.keys] != [key for key, _ in table.keys]:
            raise ValueError(f"{table} must have the same keys as {sibling}")

    def _partitions(self, schema: str, name: str, *folders: str) -> Iterator[Table]:
        folder = self.root / Table.of(schema, name).path
        for part in folder.glob("/".join((*(folders or ("**",)), PART))):
            pairs = (step.partition("=") for step in part.parent.relative_to(folder).parts)
            yield Table.of(schema, name, **{key: value for key, _, value in pairs})

    def _part(self, table: Table) -> Path:
        return self.root.joinpath(table.path, *(f"{key}={value}" for key, value in table.keys), PART)

    def _require(self, table: Table) -> None:
        if not self.exists(table):
            raise InputError(_absent(table))

    def _footer(self, table: Table) -> dict[str, str]:
        """What a partition's file carries beside its rows."""
        self._require(table)
        try:
            return pl.read_parquet_metadata(self._part(table))
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(table, _damaged(error)) from error

    def _unreadable(self, table: Table, what: str) -> UnreadableError:
        keys = dict(table.keys)
        window = f" --window {keys[WINDOW]}" if keys.get(WINDOW, FULL_WINDOW) != FULL_WINDOW else ""
        again = f"`mrs run {keys[DATASET]}{window}`" if DATASET in keys else "`mrs run`"
        return UnreadableError(
            f"{self._part(table)} {what}: remove it and run {again}, which makes it again."
        )


def _hive_scan(files: str, example: Table) -> str:
    """SQL that reads files whose folders say keys as those of `example` do."""
    types = ", ".join(f"{literal(key)}: {'INTEGER' if key == SEED else 'VARCHAR'}" for key, _ in example.keys)
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if types else "hive_partitioning = false"
    return f"read_parquet({files}, union_by_name = true, {hive})"


def _damaged(error: Exception) -> str:
    return f"is not a readable Parquet file ({str(error).splitlines()[0]})"


def _absent(table: Table) -> str:
    return f"{table} has not been written yet: materialise {table.path} for this partition first."


def _mark(folder: Path, digest: str) -> Path:
    """The empty file whose name is the digest of the bytes beside it.

    It is there before the data are, and those of earlier data go afterwards: after a kill in between there are two.
    """
    return folder / f"{_MARK}{digest}"


def _token() -> str:
    return uuid.uuid4().hex[:12]


def _flush(path: Path) -> None:
    """Have the bytes on the disk before the name points at them."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
