"""One run of a job by the command line: in this process, recorded as a run of the code location that the UI shows.

Why in this process, and what it would cost otherwise: docs/decisions/0013.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import MrsError
from mrs_pipeline.orchestration.assets import FORCE_TAG
from mrs_pipeline.orchestration.automation import MAX_RUNTIME_TAG
from mrs_pipeline.orchestration.dead_runs import PROCESS_TAG, UNFINISHED, this_process
from mrs_pipeline.orchestration.failures import failure_of_run
from mrs_pipeline.orchestration.keys import asset_key
from mrs_pipeline.orchestration.progress import SECONDS_FACT, Progress, counting_steps
from mrs_pipeline.storage.catalogue import refresh_pending
from mrs_pipeline.tasks.raw_history import run_of
from mrs_pipeline.tasks.task import Task

_LOCATION: Final = "mrs_pipeline"
"""Name of the code location in the `workspace.yaml` that `mrs init` writes."""
_REPOSITORY: Final = "__repository__"
"""What Dagster calls the repository of a code location that is one `Definitions`."""
_CANCEL_SECONDS: Final = 1.0


class RunFailedError(MrsError):
    """A step failed; the sentence is the step's own."""


@dataclass(frozen=True)
class Execution:
    """Runs jobs of one dataset in this process.

    Attributes:
        definitions: of the home.
        instance: where runs are recorded.
        config: the dataset.
        root: the home's folder, where `workspace.yaml` lies.
        force: whether steps are done that are current.
    """

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    config: DatasetConfig
    root: Path
    force: bool

    def run(self, job: str, tasks: Sequence[Task], windows: Sequence[str]) -> None:
        """Run the tasks for a window or a range of them; RunFailedError if a step or a blocking check fails."""
        keys = [asset_key(self.config.name, output) for task in tasks for output in task.outputs]
        progress = Progress(self.seconds(tasks))
        partitions = [run_of(self.config, window) for window in windows]
        with (
            _as_location_run(self.instance, self.root, job),
            counting_steps(progress),
            _interruptible(self.instance),
        ):
            result = self.definitions.resolve_job_def(job).execute_in_process(
                instance=self.instance,
                partition_key=partitions[0] if self.config.windowed and len(set(partitions)) == 1 else None,
                asset_selection=keys,
                tags={
                    **self._range(partitions),
                    **self._forced(),
                    PROCESS_TAG: this_process(),
                    MAX_RUNTIME_TAG: "0",
                },
                # Dagster's own log goes to the instance; on the terminal our lines tell the way.
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        refresh_pending()
        if not result.success:
            raise RunFailedError(failure_of_run(self.instance, result.run_id, job))

    def seconds(self, tasks: Sequence[Task]) -> dict[str, float | None]:
        """Name of each task -> how long it took when it was last done, at whatever window."""
        keys = {task.name: asset_key(self.config.name, task.outputs[0]) for task in tasks}
        made = self.instance.get_latest_materialization_events(list(keys.values()))
        return {name: _seconds(made.get(key)) for name, key in keys.items()}

    def _forced(self) -> dict[str, str]:
        return {FORCE_TAG: "true"} if self.force else {}

    def _range(self, partitions: Sequence[str]) -> dict[str, str]:
        if not self.config.windowed or len(set(partitions)) == 1:
            return {}
        start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
        return {start: partitions[0], end: partitions[-1]}


@contextmanager
def _interruptible(instance: dg.DagsterInstance) -> Iterator[None]:
    """While the block lasts, `cancel_run` finds what is running."""
    _Running.instance = instance
    try:
        yield
    finally:
        _Running.instance = None


class _Running:
    """What this process is at."""

    instance: dg.DagsterInstance | None = None


def cancel_run() -> None:
    """Before this process ends: its run is reported as canceled, and its places in the pools are free again.

    At most a second is spent on it, since somebody waits; what could not be reported is found by the next run.
    """
    if _Running.instance is not None:
        worker = threading.Thread(target=_cancel, args=(_Running.instance,), daemon=True)
        worker.start()
        worker.join(_CANCEL_SECONDS)


def _cancel(instance: dg.DagsterInstance) -> None:
    for run in instance.get_runs(dg.RunsFilter(tags={PROCESS_TAG: this_process()}, statuses=UNFINISHED)):
        instance.report_run_canceled(run, "stopped by Ctrl-C; the next run goes on from what was finished")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


@contextmanager
def _as_location_run(instance: dg.DagsterInstance, root: Path, job: str) -> Iterator[None]:
    """While the block lasts, a run that is made is one of the home's code location, so that the UI lists it."""
    origin = _origin(root, job)
    if origin is None:
        yield
        return
    located: Any = instance
    located.create_run_for_job = partial(instance.create_run_for_job, remote_job_origin=origin)
    try:
        yield
    finally:
        del located.create_run_for_job  # the method of the class is there again


def _origin(root: Path, job: str) -> RemoteJobOrigin | None:
    """Where the UI finds a job: in the code location of `workspace.yaml` that is ours; None without.

    It is known by its name, so that a code server in another container is found too.
    """
    workspace = root / "workspace.yaml"
    if not workspace.is_file():
        return None
    for origin in location_origins_from_yaml_paths([str(workspace)]):
        if origin.location_name == _LOCATION:
            return RemoteJobOrigin(RemoteRepositoryOrigin(origin, _REPOSITORY), job)
    return None


def _seconds(event: dg.EventLogEntry | None) -> float | None:
    made = event.asset_materialization if event else None
    facts: Mapping[str, Any] = made.metadata if made else {}
    return float(facts[SECONDS_FACT].value) if SECONDS_FACT in facts else None
