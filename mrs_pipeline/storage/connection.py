"""In-memory connections that spill to a disk of ours. What every connection has is said in `database`."""

import os
import socket
import uuid
from pathlib import Path
from shutil import rmtree

import duckdb

from mrs_pipeline.database import connect
from mrs_pipeline.storage.sql import literal


def open_memory(spills: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory connection; what exceeds its memory goes to a folder of its own under `spills`.

    Raises:
        InputError: a bound in the environment cannot be understood.
    """
    _sweep(spills)
    spills.mkdir(parents=True, exist_ok=True)  # DuckDB makes the last folder only
    con = connect()
    # Two processes with one spill folder would overwrite each other's files.
    folder = spills / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    con.execute(f"SET temp_directory = {literal(str(folder))}")
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
