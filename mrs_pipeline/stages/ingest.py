"""Raw files into `raw.interactions` (one partition a window) and `raw.items`: read, checked, typed, nothing dropped.

How files are read is `ingest`; what is done with the rows afterwards is the core stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import duckdb
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.encoders.identity import IdentityOptions
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.ingest.identities import id_notices
from mrs_pipeline.ingest.landing import untimed_notices
from mrs_pipeline.ingest.registry import READERS
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.schema import FULL_WINDOW, ITEM_ID, SOURCE_FILE, SOURCE_ROW, TIMESTAMP
from mrs_pipeline.stages.checks.data import (
    RAW_INTERACTIONS_SPECS,
    RAW_ITEMS_SPECS,
    check_raw_interactions,
    check_raw_items,
    unreadable_files,
)
from mrs_pipeline.stages.parsing import Parsed, forget_source, parsed_source, readable
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.raw_rows import moment
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS, External, Files
from mrs_pipeline.tasks.places import windows
from mrs_pipeline.tasks.source_files import at_rest, source_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.windows import window_end, window_start

__all__ = [
    "check_source",
    "forget_source",
    "ingest_interactions",
    "ingest_items",
    "ingest_tasks",
    "parsed_source",
]

_SAMPLE = 8


def ingest_interactions(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """The rows of one window; the first also takes those of no window (earlier, later, no time), so none is lost.

    Raises:
        InputError: a file that the window has rows of can no longer be read, or any file where there are no windows.
            The rows stay as they are.
    """
    parsed = parsed_source(stage)
    _refuse_to_lose(stage, parsed)
    con = parsed.con if stage.config.windowed else parsed.whole()
    provenance = _of(provenance, parsed.digests)
    table = stage.table("raw", "interactions")
    select = f"SELECT * FROM parsed WHERE {_in_window(stage)} ORDER BY {SOURCE_FILE}, {SOURCE_ROW}"
    _note_unreadable(stage, parsed.unreadable, provenance)
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
    with stage.lake.connect() as con:
        table = stage.table("raw", "items", window=FULL_WINDOW)

        def read(source: Source, digests: Mapping[str, str]) -> None:
            select, _ = readable(source, con, lambda each: each.items_sql(con))
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE read_items AS SELECT * FROM ({select}) ORDER BY item_id"
            )

        _, digests = at_rest(stage, read)
        manifest = stage.lake.write_table(con, table, "read_items", _of(provenance, digests))
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


def check_source(stage: Stage) -> list[str]:
    """Read the whole source once, so that a fault anywhere in it is met before any part of it is written.

    What was parsed is kept for the runs that follow in the same process. Returns a sentence for each thing that people
    should know although the run goes on: identifiers that look alike, rows without an item or a time.

    Raises:
        InputError: interactions, catalogue, media paths or a matrix that a feature set wants cannot be used.
    """
    source, con = source_of(stage), parsed_source(stage).whole()
    con.execute(f"CREATE OR REPLACE TEMP TABLE catalogue AS SELECT {ITEM_ID} FROM ({source.items_sql(con)})")
    notices = id_notices(con, "parsed", "catalogue", source.ids)
    if stage.config.windowed:
        notices += untimed_notices(con, "parsed")
    wanted = (options for options in stage.config.features if isinstance(options, IdentityOptions))
    for matrix in sorted({options.matrix for options in wanted}):
        source.read_matrix(con, matrix)
    return notices


def _of(provenance: Provenance, digests: Mapping[str, str]) -> Provenance:
    """The provenance with the digests of the source's files as they were read, not as they were a moment before."""
    others = {
        name: digest
        for name, digest in provenance.upstream.items()
        if not name.startswith(f"{Files.SOURCE}/")
    }
    return replace(provenance, upstream={**others, **digests})


def _refuse_to_lose(stage: Stage, parsed: Parsed) -> None:
    """Keep the rows of a file that has become unreadable, where this window has any."""
    table = stage.table("raw", "interactions")
    if not parsed.unreadable or not stage.lake.exists(table):
        return
    try:
        scan = stage.lake.scan(table)
    except UnreadableError:
        return
    counted = parsed.con.execute(
        f"SELECT {SOURCE_FILE}, count(*) FROM {scan} WHERE list_contains($1, {SOURCE_FILE}) "
        "GROUP BY 1 ORDER BY 1 LIMIT 1",
        [list(parsed.unreadable)],
    ).fetchall()
    if counted:
        name, rows = counted[0]
        raise InputError(
            f"{parsed.unreadable[name]} (window {stage.window} keeps the {rows:,} rows that it has of {name}, and is "
            "read again when the file is mended or removed)"
        )


def _note_unreadable(stage: Stage, faults: Mapping[str, str], provenance: Provenance) -> None:
    """Keep the names and faults of files that were left out, for the check of this window.

    Where there are none any more the table stays without rows: what is removed here would come back from a store.
    """
    table = unreadable_files(stage)
    if faults or stage.lake.exists(table):
        columns = {"file": list(faults), "reason": list(faults.values())}
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        stage.lake.write_frame(table, frame, provenance)


def _in_window(stage: Stage) -> str:
    if not stage.config.windowed:
        return "true"
    every = stage.config.window.every
    start, end = window_start(every, stage.window), window_end(every, stage.window)
    before_end = f"{TIMESTAMP} < {moment(end)}"
    keys = windows(stage.config)
    if stage.window == keys[0]:
        after_last = f"{TIMESTAMP} >= {moment(window_end(every, keys[-1]))}"
        return f"({TIMESTAMP} IS NULL OR {before_end} OR {after_last})"
    return f"({TIMESTAMP} >= {moment(start)} AND {before_end})"


def _after_last(stage: Stage, con: duckdb.DuckDBPyConnection) -> int:
    """Rows that belong to no window because the settings end before them (or the clock does)."""
    if not stage.config.windowed:
        return 0
    end = window_end(stage.config.window.every, windows(stage.config)[-1])
    return int(con.sql(f"SELECT count(*) FROM parsed WHERE {TIMESTAMP} >= {moment(end)}").fetchall()[0][0])


def _calendar(config: DatasetConfig) -> dict[str, str | None]:
    """What of the windows decides which rows a partition takes."""
    return config.window.model_dump(include={"every", "start", "end"})


def ingest_tasks(config: DatasetConfig) -> list[Task]:
    """The tasks that read the raw files."""
    source = config.source.model_dump(mode="json")
    reader = READERS.reference(config.source.reader)
    return [
        Task(
            outputs=(RAW_ITEMS,),
            inputs=(),
            files=(External(Files.SOURCE), External(Files.MEDIA)),
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
            settings={"source": source, "window": _calendar(config)},
            group="raw",
            description="Interactions as read, one partition a window, with the file and row that each came from. "
            "Windows before the first partition are its history and are read with it.",
            kinds=("duckdb", "parquet"),
            check_specs=RAW_INTERACTIONS_SPECS,
            check=check_raw_interactions,
        ),
    ]
