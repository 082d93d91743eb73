"""Guards of the tables from the raw rows to the split."""

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from mrs_pipeline.stages.checks.suites import expectations, scan_of, suite_outcome
from mrs_pipeline.storage.lake import Table
from mrs_pipeline.stored.raw_rows import raw_rows
from mrs_pipeline.tables import (
    interactions,
    items,
    quarantine,
    raw_interactions,
    raw_items,
    splits_table,
    users,
)
from mrs_pipeline.tasks.node import CORE, CORE_INTERACTIONS, RAW_INTERACTIONS, RAW_ITEMS, SPLITS, Kind, Node
from mrs_pipeline.tasks.task import CheckOutcome, CheckSpec, Stage, Task

FILES_SPEC = CheckSpec(
    "files",
    RAW_INTERACTIONS,
    "Every file of interactions can be read; what one that cannot be would add is not known.",
    blocking=False,
)
RAW_INTERACTIONS_SPECS = (
    expectations(RAW_INTERACTIONS, "identifiers, times and ratings as a log may have them."),
    FILES_SPEC,
)
RAW_ITEMS_SPECS = (expectations(RAW_ITEMS, "every item once, with an identifier."),)
CORE_SPECS = tuple(
    expectations(node, what)
    for node, what in zip(
        CORE,
        (
            "dense numbers, every user once.",
            "dense numbers, warm items first.",
            "known users and items, no pair twice, k-core and rating rule hold.",
            "every rejected row has a reason and the counts add up to the rows read.",
        ),
        strict=True,
    )
)
SPLITS_SPECS = (
    expectations(SPLITS, "every row of core.interactions has one label; order in time where it is promised."),
)


_SHOWN = 5


def check_raw_interactions(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of one window of `raw.interactions`."""
    scan = stage.lake.scan(stage.table("raw", "interactions"))
    suite, files = RAW_INTERACTIONS_SPECS
    return [suite_outcome(stage, suite, raw_interactions.suites(scan, _now())), _files_outcome(stage, files)]


def unreadable_files(stage: Stage) -> Table:
    """Where the files are named that were left out of a window's raw rows; absent or empty where there are none."""
    return stage.table("quality", "unreadable_files")


def _files_outcome(stage: Stage, spec: CheckSpec) -> CheckOutcome:
    """Whether any file was left out."""
    table = unreadable_files(stage)
    left_out = stage.lake.read(table) if stage.lake.exists(table) else pl.DataFrame()
    if left_out.is_empty():
        return CheckOutcome(spec.name, spec.output, True, spec.blocking, "every file was read")
    reasons = "; ".join(left_out["reason"].head(_SHOWN))
    more = f"; {left_out.height - _SHOWN} more" if left_out.height > _SHOWN else ""
    return CheckOutcome(
        spec.name, spec.output, False, spec.blocking, f"left out: {reasons}{more}", {"files": left_out}
    )


def check_raw_items(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of `raw.items`."""
    return [suite_outcome(stage, RAW_ITEMS_SPECS[0], raw_items.suites(scan_of(stage, RAW_ITEMS)))]


def check_core(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suites of the four core tables."""
    rows, user_rows, item_rows, rejected = (
        scan_of(stage, Node(Kind.CORE, name)) for name in ("interactions", "users", "items", "quarantine")
    )
    raw = raw_rows(stage, task)
    suites = (
        users.suites(user_rows),
        items.suites(item_rows),
        interactions.suites(rows, user_rows, item_rows, stage.config.interactions, _now()),
        quarantine.suites(rejected, rows, raw),
    )
    return [suite_outcome(stage, spec, suite) for spec, suite in zip(CORE_SPECS, suites, strict=True)]


def check_splits(stage: Stage, task: Task) -> Sequence[CheckOutcome]:
    """The suite of `core.splits`; order in time where the strategy promises it."""
    in_time_order = stage.config.windowed or stage.config.split.strategy == "global_time"
    suite = splits_table.suites(
        scan_of(stage, SPLITS),
        scan_of(stage, CORE_INTERACTIONS),
        in_time_order=in_time_order,
        held_out=stage.config.split.held_out_users > 0,
    )
    return [suite_outcome(stage, SPLITS_SPECS[0], suite)]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
