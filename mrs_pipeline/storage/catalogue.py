"""`data/mrs.duckdb`: a file of SQL views over the lake, for shells and for `mrs query`.

It holds views and nothing else, so it can be rebuilt aside and swapped at any moment: a shell that has the
old file open keeps it and blocks nobody. Views read whatever partitions lie there when they are queried; only
a new table or a new column needs a refresh. The tables themselves are `lake`'s.
"""

import uuid
from pathlib import Path

import duckdb
import polars as pl
from filelock import FileLock

from mrs_pipeline.database import connect
from mrs_pipeline.errors import InputError
from mrs_pipeline.schema import DATASET
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.sql import identifier

FEATURES = "features"
VECTOR = "vector"
_ATTEMPTS = 5


def refresh(home: Home) -> Path:
    """Rebuild the views from what lies in the lake; returns the catalogue's path.

    One view a table, `schema.table`, with the partition keys as columns; one view a dataset and feature set,
    `features.<dataset>_<feature set>`, whose `vector` is FLOAT[d] so that `array_cosine_similarity` takes it.

    Raises:
        InputError: two feature tables would share a view's name, or a table cannot be read.
    """
    home.data.mkdir(parents=True, exist_ok=True)
    with FileLock(home.data / ".catalogue.lock"):
        for leftover in home.data.glob(".catalogue-*.duckdb*"):
            leftover.unlink()
        aside = home.data / f".catalogue-{uuid.uuid4().hex[:12]}.duckdb"
        with connect(aside) as con:
            _create_views(con, Lake(home.lake))
        aside.replace(home.catalogue)
    return home.catalogue


def query(home: Home, sql: str) -> pl.DataFrame:
    """Answer a SELECT from the catalogue, which is made first where it is missing.

    DuckDB opens a Parquet file more than once in a query and stumbles where the file is replaced in between;
    such a query is simply asked again.

    Raises:
        InputError: DuckDB refuses the statement, or it is no query; carries DuckDB's first line.
    """
    if not home.catalogue.is_file():
        refresh(home)
    for attempt in range(_ATTEMPTS):
        try:
            return _answer(home, sql)
        except duckdb.Error as error:
            if isinstance(error, duckdb.ProgrammingError) or attempt + 1 == _ATTEMPTS:
                raise InputError(f"the query cannot be answered: {str(error).splitlines()[0]}") from error
    raise AssertionError("the last attempt returns or raises")


def _answer(home: Home, sql: str) -> pl.DataFrame:
    with connect(home.catalogue, read_only=True) as con:
        relation = con.sql(sql)
        if relation is None:
            raise InputError("the statement is not a query: the catalogue answers SELECT only.")
        frame: pl.DataFrame = relation.pl()
        return frame


def _create_views(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    for (schema, name), select in _view_queries(con, lake).items():
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
        con.execute(f"CREATE VIEW {identifier(schema)}.{identifier(name)} AS {select}")


def _view_queries(con: duckdb.DuckDBPyConnection, lake: Lake) -> dict[tuple[str, str], str]:
    views: dict[tuple[str, str], str] = {}
    for schema, name in lake.tables():
        if schema != FEATURES:
            views[schema, name] = _table_view(con, lake.scan_all(schema, name))
            continue
        for dataset in sorted({dict(table.keys)[DATASET] for table in lake.partitions(schema, name)}):
            view = f"{dataset}_{name}"
            if (schema, view) in views:
                raise InputError(f"two feature sets would be {schema}.{view}: rename dataset {dataset!r}.")
            views[schema, view] = _table_view(con, lake.scan_all(schema, name, dataset=dataset), VECTOR)
    return views


def _table_view(con: duckdb.DuckDBPyConnection, scan: str, vector: str | None = None) -> str:
    """A SELECT with every column named and typed, so that a partition with a new column leaves it valid."""
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
        types = {str(name): str(kind) for name, kind, *_ in described}
        if vector in types:
            types[vector] = _fixed_width(con, scan, vector, types[vector])
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the catalogue cannot read a table: {reason}; materialise it again.") from error
    columns = (f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    return f"SELECT {', '.join(columns)} FROM {scan}"


def _fixed_width(con: duckdb.DuckDBPyConnection, scan: str, vector: str, kind: str) -> str:
    """FLOAT[d]; windows whose encoders had different widths can only be shown as lists of any length."""
    column = identifier(vector)
    query = f"SELECT DISTINCT len({column}) FROM {scan} WHERE {column} IS NOT NULL LIMIT 2"
    widths = con.execute(query).fetchall()
    return f"FLOAT[{widths[0][0]}]" if len(widths) == 1 else kind
