"""`data/mrs.duckdb`: a file of SQL views over the lake, for shells and for `mrs query`.

It holds views and nothing else, so it can be rebuilt beside the old file and swapped at any moment: a shell that has
the old file open keeps it and blocks nobody. Views read whatever partitions exist when they are queried; only
a new table or a new column needs a refresh. A file that cannot be read is left out of its view, which then has the
others only until the next refresh. The tables themselves are `lake`'s.
"""

import atexit
import logging
import re
import time
import uuid
from collections.abc import Sequence

import duckdb
import polars as pl
from filelock import FileLock

from mrs_pipeline.database import connect
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.schema import DATASET
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake, Table
from mrs_pipeline.storage.sql import identifier

WIDE_SCHEMAS = ("features", "vectors")
"""Schemas whose tables hold vectors: a view a dataset and table, as each has its own width."""
VECTOR = "vector"
LOG = logging.getLogger("mrs_pipeline")
_ATTEMPTS = 5
_LOCKED = "Could not set lock"
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)
_DAMAGE = ("too small to be a Parquet file", "No magic bytes", "TProtocolException", "Invalid data")
"""What DuckDB says of a file that is not Parquet, in errors of several classes."""
_PAUSE = 9
"""A pause after a refresh, in times of what it took."""
_PAUSES: dict[Home, float] = {}
"""Home -> when, on the monotonic clock, its views may be rebuilt again."""
_PENDING: set[Home] = set()
"""Homes in which something was made since the last refresh."""


def refresh(home: Home) -> tuple[str, ...]:
    """Rebuild the views from what lies in the lake; returns what had to be left out, a sentence each.

    One view a table, `schema.table`, with the partition keys as columns; one view a dataset and feature set,
    `features.<dataset>_<feature set>`, or model, `vectors.<dataset>_<model>`, whose `vector` is FLOAT[d] so that
    `array_cosine_similarity` takes it.
    A file that cannot be read, or that is not this project's, is left out of its view and named; so is a table whose
    files do not fit together. One bad file must not stop the work on all others.

    Raises:
        InputError: two feature tables would share a view's name.
    """
    home.data.mkdir(parents=True, exist_ok=True)
    with FileLock(home.data / ".catalogue.lock"):
        for leftover in home.data.glob(".catalogue-*.duckdb*"):
            leftover.unlink()
        temporary = home.data / f".catalogue-{uuid.uuid4().hex[:12]}.duckdb"
        with connect(temporary) as con:
            left_out = _create_views(con, Lake(home.lake))
        temporary.replace(home.catalogue)
    return left_out


def query(home: Home, sql: str) -> pl.DataFrame:
    """Answer a SELECT from the catalogue, which is made first where it is missing.

    Nothing else is executed: a statement that writes, attaches or loads something is refused before it runs. Where
    another program holds the file open for writing, as a notebook does by default, the same views are made in memory.

    DuckDB opens a Parquet file more than once in a query and stumbles where the file is replaced in between;
    such a query is simply asked again. Where a file has become unreadable since the views were made, they are made
    again without it, with a warning in the log.

    Raises:
        InputError: DuckDB refuses the statement, or it is no query; carries DuckDB's first line.
    """
    _require_query(sql)
    if home in _PENDING or not home.catalogue.is_file():
        refresh_aloud(home)
    for attempt in range(_ATTEMPTS):
        try:
            return _answer(home, sql)
        except duckdb.Error as error:
            refused = isinstance(error, duckdb.ProgrammingError) and not _is_damage(error)
            if refused or attempt + 1 == _ATTEMPTS:
                raise InputError(f"the query cannot be answered: {str(error).splitlines()[0]}") from error
            if _is_damage(error):
                refresh_aloud(home)
    raise AssertionError("the last attempt returns or raises")


def refresh_aloud(home: Home) -> None:
    """Rebuild the views, with a warning in the log for each file or table that was left out."""
    _PENDING.discard(home)
    for sentence in refresh(home):
        LOG.warning("left out of the SQL views: %s", sentence)


def refresh_sparingly(home: Home) -> None:
    """Rebuild the views, which takes longer the more tables there are, within a tenth of the time that passes.

    What is put off is done by `refresh_pending`, by the next `query` of this process, or at its end.
    """
    started = time.monotonic()
    if started < _PAUSES.get(home, started):
        _PENDING.add(home)
        return
    refresh_aloud(home)
    ended = time.monotonic()
    _PAUSES[home] = ended + _PAUSE * (ended - started)


@atexit.register
def refresh_pending() -> None:
    """Do the rebuilding that was put off, where the home is still there."""
    for home in list(_PENDING):
        if home.lake.is_dir():
            refresh_aloud(home)
    _PENDING.clear()


def _is_damage(error: duckdb.Error) -> bool:
    """Whether DuckDB stumbled over a file that is no Parquet file (any more)."""
    return any(words in str(error) for words in _DAMAGE)


def _require_query(sql: str) -> None:
    """Refuse all but one SELECT, or the explanation of one.

    COPY and EXPORT write files although the catalogue is read only; ATTACH, INSTALL and LOAD bring in something else.
    """
    with connect() as con:
        try:
            found = [str(each.type).rpartition(".")[2] for each in con.extract_statements(sql)]
        except duckdb.Error as error:
            raise InputError(f"the query cannot be answered: {str(error).splitlines()[0]}") from error
    explained = _EXPLAIN.match(sql) if found == ["EXPLAIN"] else None
    if explained:
        _require_query(sql[explained.end() :])
    elif found != ["SELECT"]:
        what = f"the statement is {found[0]}" if len(found) == 1 else f"these are {len(found)} statements"
        raise InputError(
            f"{what if found else 'the statement is empty'}, not a query: the catalogue answers one SELECT; "
            "`duckdb` runs everything else (`ATTACH 'data/mrs.duckdb' (READ_ONLY)`)."
        )


def _answer(home: Home, sql: str) -> pl.DataFrame:
    with _opened(home) as con:
        relation = con.sql(sql)
        assert relation is not None, "a SELECT has a result"
        frame: pl.DataFrame = relation.pl()
        return frame


def _opened(home: Home) -> duckdb.DuckDBPyConnection:
    """The catalogue, or where it is locked, views like its own in memory."""
    try:
        return connect(home.catalogue, read_only=True)
    except duckdb.IOException as error:
        if _LOCKED not in str(error):
            raise
    con = connect()
    for sentence in _create_views(con, Lake(home.lake)):
        LOG.warning("left out of the SQL views: %s", sentence)
    return con


def _create_views(con: duckdb.DuckDBPyConnection, lake: Lake) -> tuple[str, ...]:
    left_out: list[str] = []
    for (schema, name), partitions in _views(lake).items():
        sound, faults = _sorted_out(lake, partitions)
        left_out += faults
        if not sound:
            continue
        vector = VECTOR if schema in WIDE_SCHEMAS else None
        keys = {DATASET: dict(sound[0].keys)[DATASET]} if schema in WIDE_SCHEMAS else {}
        # as a pattern a view also reads what is written later, but it would stumble over a bad file
        scan = lake.scan_these(sound) if faults else lake.scan_all(schema, sound[0].name, **keys)
        try:
            select = _table_view(con, scan, vector)
        except duckdb.Error as error:
            left_out.append(
                f"{schema}.{name} has no view, its partitions do not fit together ({str(error).splitlines()[0]}): "
                "make them again with `mrs run DATASET --force`."
            )
            continue
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
        con.execute(f"CREATE VIEW {identifier(schema)}.{identifier(name)} AS {select}")
    return tuple(left_out)


def _views(lake: Lake) -> dict[tuple[str, str], list[Table]]:
    """(schema, name) of each view -> the partitions that it reads."""
    views: dict[tuple[str, str], list[Table]] = {}
    for schema, name in lake.tables():
        partitions = lake.partitions(schema, name)
        if schema not in WIDE_SCHEMAS:
            views[schema, name] = partitions
            continue
        for dataset in sorted({dict(table.keys)[DATASET] for table in partitions}):
            view = f"{dataset}_{name}"
            if (schema, view) in views:
                raise InputError(f"two tables would be {schema}.{view}: rename dataset {dataset!r}.")
            views[schema, view] = [table for table in partitions if dict(table.keys)[DATASET] == dataset]
    return views


def _sorted_out(lake: Lake, partitions: Sequence[Table]) -> tuple[list[Table], list[str]]:
    """The partitions whose files can be read and are this project's, and a sentence on each of the others."""
    sound, faults = [], []
    for table in partitions:
        try:
            lake.manifest(table)
        except UnreadableError as fault:
            faults.append(str(fault))
        else:
            sound.append(table)
    return sound, faults


def _table_view(con: duckdb.DuckDBPyConnection, scan: str, vector: str | None) -> str:
    """A SELECT with every column named and typed, so that a partition with a new column leaves it valid."""
    described = con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    types = {str(name): str(kind) for name, kind, *_ in described}
    if vector in types:
        types[vector] = _fixed_width(con, scan, vector, types[vector])
    columns = (f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    return f"SELECT {', '.join(columns)} FROM {scan}"


def _fixed_width(con: duckdb.DuckDBPyConnection, scan: str, vector: str, kind: str) -> str:
    """FLOAT[d]; windows whose encoders had different widths can only be shown as lists of any length."""
    column = identifier(vector)
    query = f"SELECT DISTINCT len({column}) FROM {scan} WHERE {column} IS NOT NULL LIMIT 2"
    widths = con.execute(query).fetchall()
    return f"FLOAT[{widths[0][0]}]" if len(widths) == 1 else kind
