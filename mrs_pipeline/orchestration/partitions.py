"""Dagster's partitions from a dataset's windows. What a window means for the data is in `windows` and `tables`.

Only windows that can be run are partitions. Those before the first scored one have nothing to be trained on; their raw
rows belong to its partition (`tasks.raw_history`).
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.tasks.task import Task
from mrs_pipeline.windows import (
    CRON,
    KEY_FORMATS,
    WindowOptions,
    first_scored,
    window_end,
    window_keys,
    window_start,
)

_SOON: Final = 12
"""So many windows that have not begun are excluded too: a code server lives for weeks."""
_MOST_EXCLUDED: Final = 400
"""Each is stored with each asset; a dataset that ended longer ago has the list as Dagster makes it."""


def partitions_of(options: WindowOptions) -> dg.PartitionsDefinition | None:
    """The windows that models are trained for, the open one included; None for a dataset without time."""
    if options.every == "none":
        return None
    end = f"{window_end(options.every, options.end):{KEY_FORMATS[options.every]}}" if options.end else None
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=CRON[options.every],
        fmt=KEY_FORMATS[options.every],
        start=first_scored(options),
        end=end,
        end_offset=1,
        exclusions=_after_the_end(options) or None,
    )


def _after_the_end(options: WindowOptions) -> list[datetime]:
    """Windows that have begun, or soon will, although the dataset has ended.

    Dagster 1.13 lists the latest partitions without a look at `end`, and the plots of its UI are drawn over that list.
    """
    if options.end is None:
        return []
    last, now = options.end, datetime.now(UTC)
    keys = window_keys(options.model_copy(update={"end": None}), now)
    later = [window_start(options.every, key) for key in keys if key > last]
    following = window_end(options.every, max(last, keys[-1] if keys else last))
    for _ in range(_SOON):
        later.append(following)
        following = window_end(options.every, following.strftime(KEY_FORMATS[options.every]))
    return later if len(later) <= _MOST_EXCLUDED else []


def up_to_here(options: WindowOptions) -> dg.PartitionMapping:
    """Every window up to and including the one that is made: walk-forward training learns from all of them.

    Dagster cuts the range at the first partition, but its calendar must be able to count back so far.
    """
    back = len(window_keys(options, datetime.now(UTC)))
    return dg.TimeWindowPartitionMapping(start_offset=-back, allow_nonexistent_upstream_partitions=True)


def the_one_before() -> dg.PartitionMapping:
    """The window before the one that is made; none for the first."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )


def windows_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, task: Task) -> list[str]:
    """The windows that this step is asked to make or to check; `full` of a task that has one result for all."""
    step = context.op_execution_context
    partitioned = step.has_partition_key or step.has_partition_key_range
    return list(step.partition_keys) if task.windowed and partitioned else [FULL_WINDOW]
