"""Is a task due? The one answer, for the command line, the UI, the sensor and backfills, with the reasons in words."""

from dataclasses import dataclass

from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.tasks.currency import why_stale
from mrs_pipeline.tasks.lineage import is_recorded, unfinished_checks, was_never_recorded
from mrs_pipeline.tasks.task import Stage, Task


@dataclass(frozen=True)
class Standing:
    """How a task's results stand.

    Attributes:
        reasons: why the task is due, a clause each; empty where it is current.
        must_make: whether its outputs have to be made; otherwise at most its checks have to look at them.
        unrecorded: whether a killed run made the outputs, which are right, and could not record them.
    """

    reasons: tuple[str, ...]
    must_make: bool = False
    unrecorded: bool = False

    @property
    def current(self) -> bool:
        """Whether nothing has to be done."""
        return not self.reasons


def standing(stage: Stage, task: Task) -> Standing:
    """How the task's results stand now, at the stage's window; a task above the windows has one result for all."""
    stage = stage if task.windowed else stage.at(FULL_WINDOW)
    stale = why_stale(stage, task)
    if stale:
        return Standing(tuple(stale), must_make=True)
    if was_never_recorded(stage, task):
        return Standing(
            ("made by a run that was killed before it was recorded",),
            must_make=not task.keep,
            unrecorded=task.keep,
        )
    if not is_recorded(stage, task):
        return Standing(("its content is not what was recorded when it was made",), must_make=True)
    unchecked, failed = unfinished_checks(stage, task)
    if failed:
        return Standing(tuple(f"check {name} failed" for name in failed), must_make=True)
    return Standing(("its checks have not looked at it yet",) if unchecked else ())
