"""Running a dataset from the command line: which tasks are due, and in which runs of Dagster they are done.

The runs land in the same instance that `dagster dev` shows. Whether a task is due is decided by content
(`tasks.standing`), which each step asks again when its turn comes, so a run that was killed goes on where it
stopped and a second run does nothing.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError, did_you_mean
from mrs_pipeline.orchestration.accelerators import guard_accelerators
from mrs_pipeline.orchestration.automation import ingest_job_name, on_request_job_name, pipeline_job_name
from mrs_pipeline.orchestration.dead_runs import close_dead_runs
from mrs_pipeline.orchestration.executing import Execution
from mrs_pipeline.orchestration.instance import open_instance
from mrs_pipeline.orchestration.notifications import telling_of_failure
from mrs_pipeline.orchestration.progress import lasting
from mrs_pipeline.orchestration.project import Project
from mrs_pipeline.plan import on_request, plan
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.stages.ingest import check_source, forget_source
from mrs_pipeline.stages.window_choice import window_to_test
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS, Node
from mrs_pipeline.tasks.places import windows as known_windows
from mrs_pipeline.tasks.standing import standing
from mrs_pipeline.tasks.task import Stage, Task
from mrs_pipeline.windows import scored_keys, window_end

_LOG = logging.getLogger(__name__)


def default_windows(project: Project, name: str) -> list[str]:
    """The last window that has closed and has enough users to be tested; `full` for a dataset without windows.

    Raises:
        InputError: no window has closed, or the source cannot be read.
    """
    config = project.config(name)
    now = datetime.now(UTC)
    keys = scored_keys(config.window, now)
    if not config.windowed:
        return keys
    closed = [key for key in keys if window_end(config.window.every, key) <= now]
    if not closed:
        raise InputError(
            f"{config.name} has no closed window with history before it; set window.start in its defs.yaml."
        )
    if len(closed) == 1:
        return closed
    with telling_of_failure(project.home, name):  # the source is read here for the first time
        current = not _stale_raw(project, config, closed[-1:], force=False)
        chosen, why = window_to_test(Stage(config, project.home), closed, current=current)
    _LOG.info(why)
    return [chosen]


def run_dataset(
    project: Project,
    name: str,
    windows: Sequence[str],
    models: Sequence[str] | None,
    force: bool,
    *,
    also: Sequence[Node] = (),
) -> Iterator[str]:
    """Run what is due, window by window; yields a line before each Dagster run.

    Args:
        project: the home's datasets.
        name: which of them.
        windows: keys of windows to train and score; earlier ones are ingested as their history.
        models: only these models; all of the dataset's if None.
        force: run everything again, whether it is current or not.
        also: outputs that are wanted although no chosen model asks for them.

    Raises:
        InputError: an unknown window or model.
        RunFailedError: a step failed.
    """
    config = project.config(name)
    tasks = _chosen(config, models, also)
    _check_windows(config, windows)
    os.environ.setdefault("DAGSTER_HOME", str(project.home.root))
    with telling_of_failure(project.home, name), open_instance(project.home.root) as instance:
        close_dead_runs(instance)
        guard_accelerators(instance)
        execution = Execution(project.definitions, instance, config, project.home.root, force)
        raw = _stale_raw(project, config, windows, force)
        if raw:
            yield f"{name}: reading raw files, {_span(raw)}"
            for notice in check_source(Stage(config, project.home)):
                yield f"notice: {notice}"
            execution.run(ingest_job_name(name), _raw_tasks(config), raw)
            forget_source()
        for window in windows:
            due, below = _due(Stage(config, project.home, window), tasks, force)
            more = f", {len(below)} below them may follow" if below else ""
            seconds = sum(each or 0.0 for each in execution.seconds(due).values())
            took = f", about {lasting(seconds)} by earlier runs" if seconds >= 1 else ""
            yield f"{name}: window {window}, {len(due)} of {len(tasks)} steps are due{more}{took}"
            names = {task.name for task in (*due, *below)}
            chosen = [task for task in tasks if task.name in names]
            if chosen:  # Dagster takes an empty selection for all assets
                execution.run(pipeline_job_name(name), chosen, [window])


def made_for_models(
    project: Project, name: str, models: Sequence[str], last: int
) -> tuple[list[str], Iterator[str]]:
    """Make all that models are trained on at the last closed windows; those windows, and a line before each run.

    Args:
        project: the home's datasets.
        name: which of them.
        models: of the dataset.
        last: how many windows.

    Raises:
        InputError: the dataset has no such model, or fewer windows that models are trained for.
    """
    config = project.config(name)
    now = datetime.now(UTC)
    keys = [key for key in scored_keys(config.window, now) if config.windowed]
    keys = [key for key in keys if window_end(config.window.every, key) <= now]
    if len(keys) < 2:
        raise InputError(
            f"{name} has fewer than two closed windows with history; set `window:` in its defs.yaml."
        )
    inputs = {
        asset
        for task in _chosen(config, models, ())
        if str(task.outputs[0]) in {f"trained/{model}" for model in models}
        for asset in task.inputs
    }
    keys = keys[-last:]
    return keys, run_dataset(project, name, keys, [], force=False, also=sorted(inputs, key=str))


def run_on_request(project: Project, name: str, output: Node, window: str, force: bool) -> Iterator[str]:
    """Run a task that runs only when asked for, after what it is made from; yields a line before each Dagster run.

    Args:
        project: the home's datasets.
        name: the dataset.
        output: what to make, such as `experiments/modality`.
        window: at which window.
        force: run it again, whether it is current or not.

    Raises:
        InputError: the dataset cannot make it.
        RunFailedError: a step failed.
    """
    config = project.config(name)
    tasks = {task.outputs[0]: task for task in on_request(config)}
    if output not in tasks:
        raise InputError(
            f"{name} lacks the content that {output} needs: list more modalities under `features:` of its "
            "defs.yaml, or raw content under `raw:`"
        )
    yield from run_dataset(project, name, [window], [], force=False, also=tasks[output].inputs)
    stage = Stage(config, project.home, window)
    if not force and standing(stage, tasks[output]).current:
        yield f"{name}: {output} at window {window} is current"
        return
    yield f"{name}: {output} at window {window}"
    with telling_of_failure(project.home, name), open_instance(project.home.root) as instance:
        execution = Execution(project.definitions, instance, config, project.home.root, force)
        execution.run(on_request_job_name(name), [tasks[output]], [window])


def _chosen(config: DatasetConfig, models: Sequence[str] | None, also: Sequence[Node]) -> list[Task]:
    """The tasks after ingest, without those of models that were not asked for."""
    everything = plan(config)
    if models is not None:
        unknown = [model for model in models if model not in config.model_configs]
        if unknown:
            raise InputError(
                f"{config.name} does not list the model {unknown[0]}"
                f"{did_you_mean(unknown[0], config.model_configs)}; its defs.yaml has "
                f"{', '.join(config.model_configs)} (see `mrs models` for all that can be added)."
            )
        listed = {name: settings for name, settings in config.models.items() if name in models}
        config = config.model_copy(update={"models": listed})
    wanted = {task.name for task in plan(config)}
    wanted |= {task.name for task in everything if set(task.outputs) & set(also)}
    wanted -= {str(RAW_INTERACTIONS), str(RAW_ITEMS)}
    return [task for task in everything if task.name in wanted]


def _raw_tasks(config: DatasetConfig) -> list[Task]:
    """The tasks that read raw files."""
    return [task for task in plan(config) if {RAW_INTERACTIONS, RAW_ITEMS} & set(task.outputs)]


def _check_windows(config: DatasetConfig, windows: Sequence[str]) -> None:
    keys = scored_keys(config.window, datetime.now(UTC))
    unknown = next((window for window in windows if window not in keys), None)
    if unknown is None:
        return
    if not config.windowed:
        reason = "it has no windows, leave --window out"
    elif keys:
        reason = f"its windows with history are {keys[0]} to {keys[-1]}"
    else:
        reason = "none of its windows has history before it yet"
    near = "" if _is_key(config, unknown) else did_you_mean(unknown, keys)
    raise InputError(f"{config.name} cannot be run for window {unknown}{near}: {reason}.")


def _is_key(config: DatasetConfig, window: str) -> bool:
    """Whether a window is written like those of the dataset, so that it is no slip of the pen."""
    try:
        window_end(config.window.every, window)
    except (ValueError, KeyError, InputError):
        return False
    return True


def _stale_raw(project: Project, config: DatasetConfig, windows: Sequence[str], force: bool) -> list[str]:
    """The windows whose raw partition must be read (again) before the given windows can be made."""
    makers = {output: task for task in plan(config) for output in task.outputs}
    keys = known_windows(config) if config.windowed else [FULL_WINDOW]
    needed = [key for key in keys if key <= max(windows)]
    stage = Stage(config, project.home)
    if force or not standing(stage, makers[RAW_ITEMS]).current:
        return needed
    return [key for key in needed if not standing(stage.at(key), makers[RAW_INTERACTIONS]).current]


def _due(stage: Stage, tasks: Sequence[Task], force: bool) -> tuple[list[Task], list[Task]]:
    """The tasks that are due, and those below them: where what comes out is as it was, these are left as they are."""
    due: list[Task] = []
    below: list[Task] = []
    changing: set[Node] = set()
    for task in tasks:
        if force or not standing(stage, task).current:
            due.append(task)
        elif changing & set(task.inputs):
            below.append(task)
        else:
            continue
        changing |= set(task.outputs)
    return due, below


def _span(windows: Sequence[str]) -> str:
    if windows == [FULL_WINDOW]:
        return "all of them"
    return f"windows {windows[0]} to {windows[-1]}" if len(windows) > 1 else f"window {windows[0]}"
