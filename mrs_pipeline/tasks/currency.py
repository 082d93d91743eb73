"""Is a stored result made by this code, with these settings, from the inputs there are now?

A result carries a `Provenance`: the version of the task that made it and the digest of each input that was read.
The version is the digest of the task's code and settings; the code is computed (`mrs_pipeline.code`): all definitions
that the task's functions reach. Nothing is decided by time stamps. Whether the work must be done also depends on what
lineage and checks say: that is `standing`.
"""

import json
from collections.abc import Mapping, Sequence

from mrs_pipeline.code import Closure, closure, difference
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.provenance import Provenance, require_current
from mrs_pipeline.storage.versions import VersionRecord, VersionStore
from mrs_pipeline.tasks.files import files_digests
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import exists, expand, node_of, record, window_before
from mrs_pipeline.tasks.task import Stage, Task

_DIGITS = 16
_MOST_REASONS = 4


def code_of(task: Task) -> Closure:
    """All definitions that decide the task's results."""
    return closure(task.run, *task.uses)


def version(task: Task) -> str:
    """The version of a task's outputs: its code and the settings that decide the result."""
    return text_digest(code_of(task).digest, json.dumps(task.settings, sort_keys=True))[:_DIGITS]


def keep_version(stage: Stage, task: Task) -> None:
    """Remember what the task's version stands for, so that a later change can be told in words."""
    VersionStore(stage.home.versions).write(
        version(task), VersionRecord(code_of(task).definitions, task.settings)
    )


def upstream(stage: Stage, task: Task) -> dict[str, str]:
    """Name -> digest of all that the task would read now; InputError says what has to be materialised first."""
    nodes = _read(stage, task)
    absent = [node for node in nodes if not exists(stage, node)]
    if absent:
        raise InputError(
            f"{task.name} of {stage.config.name} {stage.window} needs {_listed(absent)}, which "
            f"{'is' if len(absent) == 1 else 'are'} not materialised yet: run `mrs run {stage.config.name}`, or "
            f"materialise {'it' if len(absent) == 1 else 'them'} in the UI."
        )
    digests = {str(node): record(stage, node)[0] for node in nodes}
    for files in task.files:
        digests |= files_digests(stage, files)
    return digests


def _read(stage: Stage, task: Task) -> list[Node]:
    """All nodes that the task would read now."""
    return [
        *(node for asset in task.inputs for node in expand(stage, task, asset)),
        *_of_window_before(stage, task),
    ]


def why_afresh(stage: Stage, task: Task) -> str | None:
    """Why the task cannot go on from the window before, as a clause; None where it can."""
    start, before = task.goes_on_from, window_before(stage)
    if start is None or before is None:
        return "there is no window before it"
    if not exists(before, start):
        return f"{start.at(before.window)} has not been made"
    try:
        return _why_unlike(stage, task, start, before)
    except UnreadableError as fault:
        return str(fault)


def _why_unlike(stage: Stage, task: Task, start: Node, before: Stage) -> str | None:
    """What of code, settings and inputs of the window before is not as it would have to be."""
    made = record(before, start)[1]
    if start in task.outputs:
        wanted = version(task)
    elif exists(stage, start):
        wanted = record(stage, start)[1].code_version
    else:
        return f"{start} has not been made"
    if made.code_version != wanted:
        return f"{start.at(before.window)} was made by other code or with other settings"
    changed = [node for node in _made_of(made) if not _is_as_read(before, made, node)]
    return f"{_listed(changed)} of window {before.window} changed since {start} was made" if changed else None


def _of_window_before(stage: Stage, task: Task) -> list[Node]:
    """What the task goes on from, and what that was made of, at the window before; empty where it begins afresh."""
    before = window_before(stage)
    if task.goes_on_from is None or before is None or why_afresh(stage, task):
        return []
    start = task.goes_on_from
    return [node.at(before.window) for node in (start, *_made_of(record(before, start)[1]))]


def _made_of(made: Provenance) -> list[Node]:
    """The inputs of something at its own window."""
    return [Node.parse(name) for name in made.upstream if "@" not in name and "/" in name]


def _is_as_read(stage: Stage, made: Provenance, node: Node) -> bool:
    return exists(stage, node) and record(stage, node)[0] == made.upstream[str(node)]


def provenance_of(stage: Stage, task: Task) -> Provenance:
    """What the task's outputs made now would record."""
    return Provenance(version(task), upstream(stage, task))


def refuse_stale(stage: Stage, task: Task, tasks: Mapping[Node, Task]) -> None:
    """Refuse inputs that were made from something other than what is stored now.

    Args:
        stage: dataset and window.
        task: what is about to run.
        tasks: output -> the task that makes it.

    Raises:
        StaleInputError: names the input and what it was made from.
    """
    for asset in task.inputs:
        maker = tasks[asset]
        if not maker.inputs:  # raw tables: their source may go on growing while the runs below them finish
            continue
        if asset in task.where_there:  # taken as it is stored; the task is due again when that changes
            continue
        _, provenance = record(stage, asset)
        require_current(
            f"{asset} of {stage.config.name} {stage.window}",
            provenance,
            upstream(stage, maker),
            f"materialise {asset} again, or run `mrs run {stage.config.name} --window {stage.window}`",
        )


def is_current(stage: Stage, task: Task) -> bool:
    """Whether every output exists and was made by this code and these settings from the inputs there are now."""
    return not why_stale(stage, task)


def why_stale(stage: Stage, task: Task) -> list[str]:
    """The reasons, in words, why the outputs are not what would be made now; empty where they are.

    A file that cannot be read is such a reason: what it held is made again.
    """
    nodes = [node_of(stage, output) for output in task.outputs]
    absent = [node for node in nodes if not exists(stage, node)]
    if absent:
        return [f"{_listed(absent)} not made yet"]
    inputs = _read(stage, task)
    lacking = [node for node in inputs if not exists(stage, node)]
    if lacking:
        return [f"its input {_listed(lacking)} is not made yet"]
    try:
        now = provenance_of(stage, task)
        stored = [record(stage, node)[1] for node in nodes]
    except UnreadableError as fault:
        return [str(fault)]
    for made in stored:
        if made != now:
            return [*_why_version(stage, task, made), *_why_inputs(made.upstream, now.upstream)]
    return []


def _why_version(stage: Stage, task: Task, made: Provenance) -> list[str]:
    """What of code and settings has changed since something was made."""
    if made.code_version == version(task):
        return []
    then = VersionStore(stage.home.versions).read(made.code_version)
    if then is None:
        return ["code or settings changed (what it was made by is not recorded)"]
    changed = [
        *_shortened(difference(then.definitions, code_of(task).definitions), "definitions"),
        *_shortened(_settings_changed(then.settings, task.settings), "settings"),
    ]
    return changed or ["code or settings changed"]


def _settings_changed(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    before, after = _flat(then), _flat(now)
    return [
        f"setting {name} changed from {before.get(name, 'unset')} to {after.get(name, 'unset')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _flat(settings: object, prefix: str = "") -> dict[str, str]:
    """Dotted name -> value as JSON."""
    if not isinstance(settings, Mapping) or not settings:
        return {prefix: json.dumps(settings, sort_keys=True)}
    return {
        name: value
        for key, part in settings.items()
        for name, value in _flat(part, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _why_inputs(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    reasons = [
        *(f"its input {name} changed" for name in now if name in then and then[name] != now[name]),
        *(f"its input {name} is new" for name in now if name not in then),
        *(f"its input {name} is gone" for name in then if name not in now),
    ]
    return _shortened(reasons, "inputs")


def _shortened(reasons: Sequence[str], what: str) -> list[str]:
    if len(reasons) <= _MOST_REASONS:
        return list(reasons)
    return [*reasons[: _MOST_REASONS - 1], f"{len(reasons) - _MOST_REASONS + 1} more {what}"]


def _listed(nodes: Sequence[Node], most: int = 3) -> str:
    more = f" and {len(nodes) - most} more" if len(nodes) > most else ""
    return ", ".join(str(node) for node in nodes[:most]) + more
