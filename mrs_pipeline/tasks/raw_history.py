"""Which windows of raw rows a run reads beside its own: its tables are made from the rows of all windows up to it.

Windows before the first scored one cannot be run by themselves. They are its history, and read with it. Later windows
have runs of their own; a run that finds one of them not read, or with a failed blocking check, reads it again.
"""

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import UnreadableError
from mrs_pipeline.tasks.lineage import unfinished_checks
from mrs_pipeline.tasks.node import RAW_INTERACTIONS
from mrs_pipeline.tasks.places import exists, windows
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.windows import first_scored


def run_of(config: DatasetConfig, window: str) -> str:
    """The window whose run reads a window: its own, or of the history the first that is scored."""
    return max(window, first_scored(config.window)) if config.windowed else window


def read_first(stage: Stage, task: Task, asked: list[str]) -> list[str]:
    """The windows that a run for some windows reads before them, in order.

    These are the history, where the first scored window is asked for, and every earlier window whose raw rows are
    absent or fail a blocking check.

    Args:
        stage: the dataset.
        task: any; only the one that reads raw rows has such windows.
        asked: windows of the run, in order.
    """
    if not stage.config.windowed or RAW_INTERACTIONS not in task.outputs:
        return []
    earlier = [key for key in windows(stage.config) if key < asked[-1] and key not in asked]
    return [
        key for key in earlier if run_of(stage.config, key) in asked or not _is_sound(stage.at(key), task)
    ]


def _is_sound(stage: Stage, task: Task) -> bool:
    """Whether the rows of a window are there and its checks have passed."""
    if not exists(stage, RAW_INTERACTIONS.at(stage.window)):
        return False
    try:
        return unfinished_checks(stage, task) == (False, [])
    except UnreadableError:  # damaged: it is read again
        return False
