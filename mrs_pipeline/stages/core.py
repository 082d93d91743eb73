"""Raw rows into the `core` tables of a window, and their split.

The SQL and the rules are `tables.core`; the strategies are `splits`. Here they meet the lake.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.schema import SPLIT, TIMESTAMP
from mrs_pipeline.splits.labelling import label, label_window
from mrs_pipeline.splits.labels import NO_TIME, Labelled
from mrs_pipeline.stages.checks.data import CORE_SPECS, SPLITS_SPECS, check_core, check_splits
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.stored.raw_rows import bounds_of, raw_rows
from mrs_pipeline.tables.core import build_core
from mrs_pipeline.tasks.node import CORE, CORE_INTERACTIONS, RAW_INTERACTIONS, RAW_ITEMS, SPLITS
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.types import IntArray

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
            manifest = stage.lake.write(con, table_of(stage, node), f"SELECT * FROM {source}", provenance)
            sample = con.sql(f"SELECT * FROM {stage.lake.scan(table_of(stage, node))} LIMIT {_SAMPLE}").pl()
            outcomes.append(
                Outcome(node, manifest.digest, {"rows": manifest.rows, "sample": sample}, manifest.columns)
            )
        outcomes[-1] = _with_reasons(stage, outcomes[-1])
    return outcomes


def build_splits(stage: Stage, task: Task, provenance: Provenance) -> Sequence[Outcome]:
    """Label every core interaction train, valid or test."""
    frame = stage.lake.read(table_of(stage, CORE_INTERACTIONS)).select(
        "user", "item", TIMESTAMP, SPLIT, "is_history"
    )
    labelled = _labelled(stage.config, frame)
    splits = (
        frame.select("user", "item", TIMESTAMP)
        .with_columns(pl.Series(SPLIT, labelled.names, dtype=pl.String))
        .filter(pl.col(SPLIT).is_not_null())
        .sort("user", "item", TIMESTAMP)
    )
    manifest = stage.lake.write_frame(table_of(stage, SPLITS), splits, provenance)
    report = labelled.report
    facts = {
        "rows": manifest.rows,
        **{f"{name} rows": rows for name, rows in report.rows.items()},
        **{f"{name} users": users for name, users in report.users.items()},
        "realised ratios": {name: round(share, 4) for name, share in report.ratios.items()},
        "rows left out (user without a training row)": report.rows_without_history,
    }
    return [Outcome(SPLITS, manifest.digest, facts, manifest.columns)]


def _labelled(config: DatasetConfig, frame: pl.DataFrame) -> Labelled:
    users, items = frame["user"].to_numpy(), frame["item"].to_numpy()
    times = _times(frame)
    if config.windowed:
        return label_window(config.split, users, times, frame["is_history"].to_numpy())
    given = None if frame[SPLIT].null_count() == frame.height else frame[SPLIT].to_list()
    return label(config.split, users, items, None if (times == NO_TIME).all() else times, given)


def _times(frame: pl.DataFrame) -> IntArray:
    """[E] microseconds, `NO_TIME` where there is none."""
    return np.asarray(frame[TIMESTAMP].cast(pl.Datetime("us")).cast(pl.Int64).fill_null(NO_TIME).to_numpy())


def _with_reasons(stage: Stage, outcome: Outcome) -> Outcome:
    reasons = (
        stage.lake.read(table_of(stage, outcome.node))
        .group_by("reason")
        .len("rows")
        .sort("rows", descending=True)
    )
    return Outcome(outcome.node, outcome.digest, {**outcome.facts, "reasons": reasons}, outcome.columns)


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
