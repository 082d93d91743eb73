"""Raw rows into the `core` tables of a window, and their split.

The SQL and the rules are `tables.core`; the strategies are `splits`. Here they meet the lake.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.schema import SPLIT, TIMESTAMP
from mrs_pipeline.schema import SPLIT_LABELS as LABELS
from mrs_pipeline.splits.labelling import label, label_window
from mrs_pipeline.splits.labels import NO_TIME, Labelled
from mrs_pipeline.stages.checks.data import CORE_SPECS, SPLITS_SPECS, check_core, check_splits
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.raw_rows import bounds_of, raw_rows
from mrs_pipeline.tables.core import build_core
from mrs_pipeline.tasks.node import CORE, CORE_INTERACTIONS, RAW_INTERACTIONS, RAW_ITEMS, SPLITS
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task

if TYPE_CHECKING:
    import duckdb

_SAMPLE = 8


def build_tables(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """De-duplicate, filter, k-core and number the interactions; what is rejected is kept with its reason."""
    start, end = bounds_of(stage) if stage.config.windowed else (None, None)
    with stage.lake.connect() as con:
        built = build_core(
            con,
            raw_rows(stage, task),
            stage.lake.scan(table_of(stage, RAW_ITEMS)),
            stage.config.interactions,
            start,
            window_end=end,
        )
        outcomes = []
        for node in CORE:
            source = getattr(built, node.name)
            manifest = stage.lake.write_table(con, table_of(stage, node), source, provenance)
            facts = {
                "rows": manifest.rows,
                "sample": con.sql(f"SELECT * FROM {source} LIMIT {_SAMPLE}").pl(),
            }
            if node.name == "quarantine":
                facts["reasons"] = con.sql(
                    f"SELECT reason, count(*) AS rows FROM {source} GROUP BY reason ORDER BY rows DESC, reason"
                ).pl()
            con.execute(f"DROP TABLE {source}")  # makes room for those that are still to be written
            outcomes.append(Outcome(node, manifest.digest, facts, manifest.columns))
    return outcomes


def build_splits(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Label every core interaction train, valid or test.

    In memory at once: eight bytes a row of each column that the strategy looks at, and what it sorts by. The rows
    themselves stay in DuckDB.
    """
    scan = stage.lake.scan(table_of(stage, CORE_INTERACTIONS))
    with stage.lake.connect() as con:
        labelled = _labelled(stage.config, con, scan)
        con.register("labels", pl.DataFrame({"label": labelled.labels}).to_arrow())
        names = " ".join(f"WHEN {code} THEN '{name}'" for code, name in enumerate(LABELS))
        select = (
            f'SELECT "user", item, {TIMESTAMP}, CASE label {names} END AS {SPLIT} FROM {scan} POSITIONAL JOIN labels '
            f'ORDER BY "user", item, {TIMESTAMP} NULLS FIRST'
        )
        manifest = stage.lake.write(con, table_of(stage, SPLITS), select, provenance)
    report = labelled.report
    facts = {
        "rows": manifest.rows,
        **{f"{name} rows": rows for name, rows in report.rows.items()},
        **{f"{name} users": users for name, users in report.users.items()},
        "realised ratios": {name: round(share, 4) for name, share in report.ratios.items()},
        "new users (no training row)": report.new_users,
    }
    return [Outcome(SPLITS, manifest.digest, facts, manifest.columns)]


def _labelled(config: DatasetConfig, con: "duckdb.DuckDBPyConnection", scan: str) -> Labelled:
    """The labels of the interactions, in their order."""
    if config.windowed:
        users, times, history = _columns(con, scan, '"user"', _TIME, "is_history")
        return label_window(config.split, users, times, history)
    users, items, times, codes = _columns(con, scan, '"user"', "item", _TIME, _GIVEN)
    given = _NAMES[codes] if (codes >= 0).any() else None
    return label(config.split, users, items, None if (times == NO_TIME).all() else times, given)


_TIME = f"coalesce(epoch_us({TIMESTAMP}), {NO_TIME})"
"""Microseconds, `NO_TIME` where there is none."""
_GIVEN = f"CAST(coalesce(list_position({list(LABELS)}, {SPLIT}), 0) - 1 AS TINYINT)"
"""Position of the source's own label, -1 where it has none."""
_NAMES = np.array([*LABELS, None], dtype=object)
"""The labels by position; one object each, however many rows there are."""


def _columns(con: "duckdb.DuckDBPyConnection", scan: str, *expressions: str) -> list[Any]:
    """[E] an array an expression, none of which is ever NULL, in the order of the rows."""
    named = ", ".join(f"{expression} AS c{place}" for place, expression in enumerate(expressions))
    columns = con.execute(f"SELECT {named} FROM {scan}").fetchnumpy()
    return [np.asarray(columns[f"c{place}"]) for place in range(len(expressions))]


def core_tasks(config: DatasetConfig) -> list[Task]:
    """Core tables and splits."""
    return [
        Task(
            outputs=CORE,
            inputs=(RAW_INTERACTIONS, RAW_ITEMS),
            run=build_tables,
            settings={
                "interactions": config.interactions.model_dump(mode="json"),
                "window": config.window.every,
            },
            group="core",
            description="De-duplicated, thresholded, k-cored interactions with dense numbers; rejected rows and why.",
            kinds=("duckdb", "parquet"),
            check_specs=CORE_SPECS,
            check=check_core,
        ),
        Task(
            outputs=(SPLITS,),
            inputs=(CORE_INTERACTIONS,),
            run=build_splits,
            settings={"split": config.split.model_dump(mode="json"), "windowed": config.windowed},
            group="core",
            description="Which interaction trains, validates or tests; one label for all models.",
            kinds=("duckdb", "parquet"),
            check_specs=SPLITS_SPECS,
            check=check_splits,
        ),
    ]
