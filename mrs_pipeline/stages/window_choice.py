"""Which window a run takes where none is named: the last one with enough users to test models with."""

from mrs_pipeline.ingest.landing import Activity, activity, last_testable
from mrs_pipeline.schema import TIMESTAMP
from mrs_pipeline.stages.parsing import parsed_source
from mrs_pipeline.tasks.places import windows
from mrs_pipeline.tasks.task import Stage


def window_to_test(stage: Stage, closed: list[str], *, current: bool) -> tuple[str, str]:
    """(key of the window, the sentence that says why), among the windows `closed` in their order.

    The users are those of the raw rows, before the rules of `interactions:`; the rows are those of the lake where it is
    `current`, else the source's.

    Raises:
        InputError: the source cannot be read.
    """
    counted = {each.window: each for each in _activity(stage, closed[-1], current=current)}
    choice = [counted.get(key, Activity(key, 0, 0, 0)) for key in closed]
    chosen, last = last_testable(choice), choice[-1]
    why = f"{stage.config.name}: window {chosen.window} is tested, with {chosen.users:,} users seen before"
    if chosen is not last:
        why += f"; {last.window}, the last one, has {last.users:,} (`--window {last.window}` takes it)"
    return chosen.window, why


def _activity(stage: Stage, last: str, *, current: bool) -> list[Activity]:
    rules = stage.config.interactions
    bounds = [f"{TIMESTAMP} >= TIMESTAMP '{rules.earliest}'"] if rules.earliest else []
    bounds += [f"{TIMESTAMP} < TIMESTAMP '{rules.latest}' + INTERVAL 1 DAY"] if rules.latest else []
    chosen = f"WHERE {' AND '.join(bounds)}" if bounds else ""
    every = stage.config.window.every
    if not current:
        return activity(parsed_source(stage).whole(), f"SELECT * FROM parsed {chosen}", every)
    partitions = [stage.at(key).table("raw", "interactions") for key in windows(stage.config) if key <= last]
    with stage.lake.connect() as con:
        return activity(con, f"SELECT * FROM {stage.lake.scan(*partitions)} {chosen}", every)
