"""Which windows are due because files of the source have come, changed or gone: what the sensor asks at each tick.

A tick compares what the tables are stamped with against the files as they are now, so it also sees what changed while
nobody looked, and what a run met half written.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.tasks.landed import due_windows
from mrs_pipeline.tasks.node import Files
from mrs_pipeline.tasks.seen_files import Memory, Tick
from mrs_pipeline.tasks.source_files import source_of
from mrs_pipeline.tasks.task import Stage


@dataclass(frozen=True)
class Look:
    """What a tick found.

    Attributes:
        due: window -> digest of what it is due for, in order; without those that were asked for with the same.
        faults: file (or `source`) -> why it cannot be read.
        memory: for the next tick.
    """

    due: Mapping[str, str]
    faults: Mapping[str, str]
    memory: Memory


def look_at(stage: Stage, memory: Memory, settle: float, now: float | None = None) -> Look:
    """Look at a dataset's files.

    Args:
        stage: the dataset.
        memory: of the tick before.
        settle: seconds that a file must have been unchanged for.
        now: seconds since 1970; the clock's by default.
    """
    moment = time.time() if now is None else now
    settings = text_digest(stage.config.source.model_dump_json(), stage.config.window.every)
    if memory.settings != settings:
        memory = Memory(settings=settings, asked=memory.asked, faults=memory.faults)
    try:
        source = source_of(stage)
        tick = Tick(stage, source, memory, settle, moment)
        tick.look_at_files()
    except InputError as fault:  # the folder is gone, or nothing is left to read in it
        faults = {str(Files.SOURCE): str(fault)}
        return Look({}, faults, memory.model_copy(update={"faults": faults}))
    except FileNotFoundError:  # a file went while it was looked at
        return Look({}, memory.faults, memory)
    media, media_after = tick.look_at_media()
    needed = due_windows(tick, media)
    asked = {window: why for window, why in needed.items() if memory.asked.get(window) != why}
    files = {**tick.landings, **tick.catalogue}
    faults = {name: each.fault for name, each in files.items() if each.fault}
    after = Memory(
        settings=settings,
        landings=tick.landings,
        catalogue=tick.catalogue,
        media=media,
        media_after=media_after,
        waiting=tick.waiting,
        asked=needed,
        faults=faults,
    )
    return Look(asked, faults, after)
