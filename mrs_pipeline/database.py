"""DuckDB connections: the one place that opens them. Every one is in UTC, bounded, silent and without downloads.

`MRS_DUCKDB_MEMORY` (e.g. "8GB") and `MRS_DUCKDB_THREADS` are the bounds. Without them a connection holds at most
`DEFAULT_MEMORY`, whatever the machine has, and moves what is more to disk; it uses all cores, so set the threads where
several processes share a machine.

Where the lake spills and what the catalogue holds is said in `storage`.
"""

import os
from pathlib import Path

import duckdb

from mrs_pipeline.errors import InputError

MEMORY_VARIABLE = "MRS_DUCKDB_MEMORY"
THREADS_VARIABLE = "MRS_DUCKDB_THREADS"
DEFAULT_MEMORY = "2GB"
"""Twenty million interactions go through every stage within it; more saves some spilling."""

_SETTINGS = (
    # DuckDB takes a process without a script (`python -c`, a notebook) for a person at a terminal, and writes a
    # progress bar into the standard output, which programs read. Unlike `enable_progress_bar` this stays off.
    "SET enable_progress_bar_print = false",
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    f"SET memory_limit = '{DEFAULT_MEMORY}'",
)


def connect(path: Path | None = None, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to the database file `path`, which is made where it is missing, or to one in memory.

    Raises:
        InputError: a bound in the environment cannot be understood.
    """
    con = duckdb.connect(":memory:" if path is None else str(path), read_only=read_only)
    for setting in _SETTINGS:
        con.execute(setting)
    for variable, name in ((MEMORY_VARIABLE, "memory_limit"), (THREADS_VARIABLE, "threads")):
        value = os.environ.get(variable)
        if value:
            try:
                con.execute(f"SET {name} = ?", [value])
            except duckdb.Error as error:
                con.close()
                raise InputError(
                    f"{variable}={value!r} cannot be DuckDB's {name}: give e.g. 4GB or 2 threads."
                ) from error
    return con
