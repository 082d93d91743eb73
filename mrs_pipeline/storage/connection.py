"""DuckDB connections: every one of the project is in UTC, bounded from the environment, without downloads.

`MRS_DUCKDB_MEMORY` (e.g. "8GB") and `MRS_DUCKDB_THREADS` are the bounds. Without them a connection holds at most
`DEFAULT_MEMORY`, whatever the machine has, and moves what is more to disk; it uses all cores, so set the threads where
several processes share a machine.
"""

import os
import socket
import uuid
from pathlib import Path
from shutil import rmtree

import duckdb

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.sql import literal

MEMORY_VARIABLE = "MRS_DUCKDB_MEMORY"
THREADS_VARIABLE = "MRS_DUCKDB_THREADS"
DEFAULT_MEMORY = "2GB"
"""Twenty million interactions go through every stage within it; more saves some spilling."""


def open_memory(spills: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory connection; what exceeds its memory goes to a folder of its own under `spills`.

    Raises:
        InputError: a bound in the environment cannot be understood.
    """
    _sweep(spills)
    spills.mkdir(parents=True, exist_ok=True)  # DuckDB makes the last folder only
    con = duckdb.connect(":memory:")
    # Two processes with one spill folder would overwrite each other's files.
    folder = spills / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    con.execute(f"SET temp_directory = {literal(str(folder))}")
    return _configure(con)


def open_catalogue(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a file of views.

    Raises:
        InputError: a bound in the environment cannot be understood.
    """
    return _configure(duckdb.connect(str(path), read_only=True))


def _configure(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET autoinstall_known_extensions = false")
    con.execute(f"SET memory_limit = {literal(DEFAULT_MEMORY)}")
    for variable, setting in ((MEMORY_VARIABLE, "memory_limit"), (THREADS_VARIABLE, "threads")):
        value = os.environ.get(variable)
        if value:
            try:
                con.execute(f"SET {setting} = {literal(value)}")
            except duckdb.Error as error:
                con.close()
                raise InputError(
                    f"{variable}={value!r} cannot be DuckDB's {setting}: give e.g. 4GB or 2 threads."
                ) from error
    return con


def _sweep(spills: Path) -> None:
    """Remove what killed processes of this machine spilled; DuckDB removes its own when it closes."""
    for folder in spills.glob(f"{socket.gethostname()}-*"):
        pid = int(folder.name.rsplit("-", 2)[1])
        if not _alive(pid):
            rmtree(folder, ignore_errors=True)  # another process may be sweeping it too


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
