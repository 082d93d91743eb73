"""Raw files into `raw.interactions` (one partition a window) and `raw.items`: read, checked, typed, nothing dropped.

How files are read is `ingest`; what is done with the rows afterwards is the core stage.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import duckdb

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.identity import IdentityOptions
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.schema import FULL_WINDOW, SOURCE_FILE, SOURCE_ROW, TIMESTAMP
from mrs_pipeline.stages.checks.data import (
    RAW_INTERACTIONS_SPECS,
    RAW_ITEMS_SPECS,
    check_raw_interactions,
    check_raw_items,
)
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.tasks.files import files_digests, source_of
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS, External, Files
from mrs_pipeline.tasks.places import windows
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.windows import window_end, window_start

_SAMPLE = 8


def ingest_interactions(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The rows of one window. The first window also takes rows before it or without time, so that none is lost."""
    con = _parsed_source(stage)
    table = stage.table("raw", "interactions")
    select = f"SELECT * FROM parsed WHERE {_in_window(stage)} ORDER BY {SOURCE_FILE}, {SOURCE_ROW}"
    manifest = stage.lake.write(con, table, select, provenance)
    scan = stage.lake.scan(table)
    summary = con.sql(
        f"SELECT count(DISTINCT user_id), count(DISTINCT item_id), min({TIMESTAMP}), max({TIMESTAMP}) "
        f"FROM {scan}"
    ).fetchall()[0]
    facts = {
        "rows": manifest.rows,
        "users": summary[0],
        "items": summary[1],
        "first": str(summary[2] or ""),
        "last": str(summary[3] or ""),
        "rows after the last window": _after_last(stage, con),
        "sample": con.sql(f"SELECT * FROM {scan} LIMIT {_SAMPLE}").pl(),
    }
    return [Outcome(RAW_INTERACTIONS.at(stage.window), manifest.digest, facts, manifest.columns)]


def ingest_items(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The catalogue as it is now."""
    source = source_of(stage)
    with stage.lake.connect() as con:
        table = stage.table("raw", "items", window=FULL_WINDOW)
        select = f"SELECT * FROM ({source.items_sql(con)}) ORDER BY item_id"
        manifest = stage.lake.write(con, table, select, provenance)
        scan = stage.lake.scan(table)
        coverage = con.sql(
            "SELECT "
            + ", ".join(f"count({column})" for column in ("title", "description", "image", "audio", "video"))
            + f" FROM {scan}"
        ).fetchall()[0]
        sample = con.sql(f"SELECT * FROM {scan} LIMIT {_SAMPLE}").pl()
    names = ("with title", "with description", "with image", "with audio", "with video")
    facts = {"rows": manifest.rows, **dict(zip(names, coverage, strict=True)), "sample": sample}
    return [Outcome(RAW_ITEMS, manifest.digest, facts, manifest.columns)]


def check_source(stage: Stage) -> None:
    """Read the whole source once, so that a fault anywhere in it is met before any part of it is written.

    What was parsed is kept for the runs that follow in the same process.

    Raises:
        InputError: interactions, catalogue, media paths or a matrix that a feature set wants cannot be used.
    """
    source, con = source_of(stage), _parsed_source(stage)
    source.items_sql(con)
    wanted = (options for options in stage.config.features if isinstance(options, IdentityOptions))
    for matrix in sorted({options.matrix for options in wanted}):
        source.read_matrix(con, matrix)


def _parsed_source(stage: Stage) -> duckdb.DuckDBPyConnection:
    digests = json.dumps(files_digests(stage, External(Files.SOURCE)))
    return _parsed(stage.home, stage.config.source.model_dump_json(), digests)


@lru_cache(maxsize=1)
def _parsed(home: Home, source: str, digests: str) -> duckdb.DuckDBPyConnection:
    """A connection with the checked source in the table `parsed`, kept for the other windows of the same run.

    Memory is DuckDB's bound (`database`); beyond it the table spills to disk.
    """
    con = Lake(home.lake).connect()
    opened = open_source(source_options(json.loads(source)), home.root)
    con.execute(f"CREATE TEMP TABLE parsed AS {opened.interactions_sql(con)}")
    return con


def forget_source() -> None:
    """Let go of what was parsed: the stages below do not need it, and it holds memory."""
    _parsed.cache_clear()


def _in_window(stage: Stage) -> str:
    if not stage.config.windowed:
        return "true"
    every = stage.config.window.every
    start, end = window_start(every, stage.window), window_end(every, stage.window)
    before_end = f"{TIMESTAMP} < {_moment(end)}"
    if stage.window == windows(stage.config)[0]:
        return f"({TIMESTAMP} IS NULL OR {before_end})"
    return f"({TIMESTAMP} >= {_moment(start)} AND {before_end})"


def _after_last(stage: Stage, con: duckdb.DuckDBPyConnection) -> int:
    """Rows that belong to no window because the settings end before them (or the clock does)."""
    if not stage.config.windowed:
        return 0
    end = window_end(stage.config.window.every, windows(stage.config)[-1])
    return int(con.sql(f"SELECT count(*) FROM parsed WHERE {TIMESTAMP} >= {_moment(end)}").fetchall()[0][0])


def _moment(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'"


def ingest_tasks(config: DatasetConfig) -> list[Task]:
    """The tasks that read the raw files."""
    source = config.source.model_dump(mode="json")
    reader = READERS.reference(config.source.reader)
    return [
        Task(
            outputs=(RAW_ITEMS,),
            inputs=(),
            files=(External(Files.SOURCE),),
            run=ingest_items,
            uses=(reader,),
            settings={"source": source},
            group="raw",
            description="The catalogue as read: titles, descriptions, attributes as text, media paths.",
            windowed=False,
            kinds=("duckdb", "parquet"),
            check_specs=RAW_ITEMS_SPECS,
            check=check_raw_items,
        ),
        Task(
            outputs=(RAW_INTERACTIONS,),
            inputs=(),
            files=(External(Files.SOURCE),),
            run=ingest_interactions,
            uses=(reader,),
            settings={
                "source": source,
                "window": {"every": config.window.every, "start": config.window.start},
            },
            group="raw",
            description="Interactions as read, one partition a window, with the file and row that each came from.",
            kinds=("duckdb", "parquet"),
            check_specs=RAW_INTERACTIONS_SPECS,
            check=check_raw_interactions,
        ),
    ]
