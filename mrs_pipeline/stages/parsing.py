"""The rows of a source, parsed once for all windows of a run, with the digests of exactly what was parsed.

Files may be written, replaced and removed at any time: `tasks.files.at_rest` reads again where one was.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import duckdb

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.source_files import at_rest
from mrs_pipeline.tasks.task import Stage


@dataclass(frozen=True, eq=False)
class Parsed:
    """The checked interactions of a source.

    Attributes:
        con: a connection on which they are the table `parsed`.
        digests: name -> digest of each file as it was parsed.
        unreadable: landing file -> why it could not be read, where others could. None of its rows is in the table.
    """

    con: duckdb.DuckDBPyConnection
    digests: Mapping[str, str]
    unreadable: Mapping[str, str]

    def whole(self) -> duckdb.DuckDBPyConnection:
        """The connection, if every file could be read; otherwise the first fault as an InputError."""
        for fault in self.unreadable.values():
            raise InputError(fault)
        return self.con


def parsed_source(stage: Stage) -> Parsed:
    """The interactions of the whole source, as its files are now.

    Raises:
        InputError: no file can be read, or they change all the time.
    """

    def parse(_source: Source, digests: Mapping[str, str]) -> Parsed:
        return _parsed(stage.home, stage.config.source.model_dump_json(), json.dumps(digests))

    return at_rest(stage, parse, forget_source)[0]


@lru_cache(maxsize=1)
def _parsed(home: Home, source: str, digests: str) -> Parsed:
    """What was parsed, kept for the other windows of the same run.

    Memory is DuckDB's bound (`database`); beyond it the table spills to disk.
    """
    con = Lake(home.lake).connect()
    opened = open_source(source_options(json.loads(source)), home.root)
    select, unreadable = readable(opened, con, lambda each: each.interactions_sql(con))
    con.execute(f"CREATE TEMP TABLE parsed AS {select}")
    return Parsed(con, json.loads(digests), unreadable)


def readable(
    source: Source, con: duckdb.DuckDBPyConnection, sql: Callable[[Source], str]
) -> tuple[str, dict[str, str]]:
    """A SELECT from the source, and the landing files that had to be left out of it, each with its fault.

    Raises:
        InputError: the fault is not one of single files, or all have one.
    """
    try:
        return sql(source), {}
    except InputError:
        faults = source.unreadable(con)
        if not faults or len(faults) == len(source.landings()):
            raise
        named = {name: fault for path, fault in faults.items() for name in source.row_names(path)}
        return sql(source.without(faults.keys())), named


def forget_source() -> None:
    """Let go of what was parsed: the stages below do not need it, and it holds memory."""
    _parsed.cache_clear()
