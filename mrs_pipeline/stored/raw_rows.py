"""The raw rows that a window's tables are made from: those of all windows up to it, each once.

The first window's partition also holds the rows that lay in no window when it was read: before the first, without a
time, or after the last. Once their window has come, they lie in its own partition as well.
"""

from datetime import datetime

from mrs_pipeline.schema import TIMESTAMP
from mrs_pipeline.tasks.node import RAW_INTERACTIONS
from mrs_pipeline.tasks.places import expand, table_of, windows
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.windows import window_end, window_start


def bounds_of(stage: Stage) -> tuple[datetime, datetime]:
    """First moment of the stage's window, and first moment after it, UTC."""
    every = stage.config.window.every
    return window_start(every, stage.window), window_end(every, stage.window)


def raw_rows(stage: Stage, task: Task) -> str:
    """What to put after FROM to read the raw rows of the stage's window and of those before it."""
    first, *later = [table_of(stage, node) for node in expand(stage, task, RAW_INTERACTIONS)]
    if not later:
        return stage.lake.scan(first)
    end_of_first = moment(window_end(stage.config.window.every, windows(stage.config)[0]))
    end = moment(bounds_of(stage)[1])
    once = f"{TIMESTAMP} IS NULL OR {TIMESTAMP} < {end_of_first} OR {TIMESTAMP} >= {end}"
    rest = stage.lake.scan(*later)
    return f"(SELECT * FROM {stage.lake.scan(first)} WHERE {once} UNION ALL BY NAME SELECT * FROM {rest})"


def moment(time: datetime) -> str:
    """A moment in UTC as SQL."""
    return f"TIMESTAMP '{time:%Y-%m-%d %H:%M:%S}'"
