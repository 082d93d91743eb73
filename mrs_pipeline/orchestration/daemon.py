"""Dagster's daemon of a home as a child process, and what it did, as the home's instance has recorded it.

The instance is the only channel: ticks of the dataset's sensor and runs are read from it, so that what is seen here is
what `mrs ui` shows.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg
import psutil
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from mrs_pipeline.errors import MrsError
from mrs_pipeline.orchestration.failures import failure_of_run
from mrs_pipeline.orchestration.instance import open_instance

LOG_FILE: Final = "daemon.log"
_FINISHED: Final = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)
_POLL_SECONDS: Final = 0.5
_FAST_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 60.0
_SHOWN_LINES: Final = 3
_TICKS: Final = 50


class DaemonError(MrsError):
    """The daemon ended, or did nothing for too long."""


@dataclass(frozen=True)
class SeenRun:
    """One run that the daemon launched.

    Attributes:
        run: its id.
        job: name of its job.
        window: which window it was for.
        status: Dagster's word, such as SUCCESS.
        created: when it was requested, seconds since 1970.
        started: when its process began; None where it has not.
        ended: when it ended; None where it has not.
        retry: whether it goes on with a run whose process was killed.
        failure: why it failed, in a sentence; empty where it did not.
    """

    run: str
    job: str
    window: str
    status: str
    created: float
    started: float | None
    ended: float | None
    retry: bool
    failure: str


@dataclass
class Daemon:
    """A running daemon; `running_daemon` makes one."""

    process: subprocess.Popen[bytes]
    instance: dg.DagsterInstance
    sensor: str
    log: Path
    patience: float

    def runs(self, since: float = 0.0) -> list[SeenRun]:
        """The runs that were requested since a moment, in their order."""
        records = self.instance.get_run_records(order_by="id", ascending=True)
        return [seen for seen in map(self._seen, records) if seen.created >= since]

    def wait_until_quiet(self, since: float) -> float:
        """Wait until the sensor has looked after `since`, all it asked for has ended, and it finds nothing more.

        Returns:
            The end of the last run, or of the look that found nothing to do; seconds since 1970.

        Raises:
            DaemonError: the daemon ended, its sensor failed, or nothing happened for as long as patience lasts.
        """
        state, moved = None, time.time()
        while True:
            self._require_alive()
            runs, looks = self.instance.get_runs(), self._looks(since)
            now = (len(looks), [(run.run_id, run.status) for run in runs])
            if now != state:
                state, moved = now, time.time()
            if all(run.is_finished for run in runs) and not any(map(_is_retried_soon, runs)):
                ends = [seen.ended for seen in self.runs(since) if seen.ended is not None]
                last = max(ends, default=since)
                after = [look for look in looks if look.timestamp >= last]
                if after and not after[0].run_ids and after[0].end_timestamp is not None:
                    return last if ends else float(after[0].end_timestamp)
            if time.time() - moved > self.patience:
                raise DaemonError(f"nothing happened for {self.patience:.0f} seconds; {self._last_lines()}")
            time.sleep(_POLL_SECONDS)

    def kill_worker(self, window: str, since: float, steps: int) -> SeenRun:
        """Kill (SIGKILL) the process of the first run for a window since a moment, once it has done some steps.

        Raises:
            DaemonError: the run ended before that, or none came.
        """
        began = time.time()
        while time.time() - began < self.patience:
            self._require_alive()
            for seen in self.runs(since):
                if seen.window != window or seen.started is None:
                    continue
                if seen.ended is not None:
                    raise DaemonError(f"the run of window {window} ended before its process could be killed")
                done = self.instance.get_run_stats(seen.run).steps_succeeded
                worker = self._worker(seen.run)
                if done >= steps and worker is not None:
                    worker.kill()
                    return seen
            time.sleep(_FAST_POLL_SECONDS)
        raise DaemonError(f"no run of window {window} came; {self._last_lines()}")

    def _worker(self, run: str) -> psutil.Process | None:
        """The process of a run, which is a child of the daemon's code server."""
        logs = self.instance.all_logs(run, of_type=dg.DagsterEventType.RUN_START)
        pids = {entry.dagster_event.pid for entry in logs if entry.dagster_event is not None}
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next((child for child in children if child.pid in pids), None)

    def _seen(self, record: dg.RunRecord) -> SeenRun:
        run = record.dagster_run
        failed = run.status is dg.DagsterRunStatus.FAILURE
        return SeenRun(
            run.run_id,
            run.job_name,
            run.tags.get("dagster/partition", ""),
            run.status.value,
            record.create_timestamp.timestamp(),
            record.start_time,
            record.end_time if run.status in _FINISHED else None,
            run.parent_run_id is not None,
            failure_of_run(self.instance, run.run_id, run.job_name) if failed else "",
        )

    def _looks(self, since: float) -> list[InstigatorTick]:
        """Ticks of the sensor that began after a moment and have ended, in their order."""
        found: list[InstigatorTick] = []
        for state in self.instance.all_instigator_state():
            if state.instigator_name == self.sensor:
                found += self.instance.get_ticks(
                    state.instigator_origin_id, state.selector_id, after=since, limit=_TICKS
                )
        for tick in found:
            if tick.status is TickStatus.FAILURE:
                reason = tick.error.message.strip() if tick.error else "no reason given"
                raise DaemonError(f"the sensor {self.sensor} failed: {reason}")
        ended = [tick for tick in found if tick.status in (TickStatus.SUCCESS, TickStatus.SKIPPED)]
        return sorted(ended, key=lambda tick: tick.timestamp)

    def _require_alive(self) -> None:
        if self.process.poll() is not None:
            raise DaemonError(f"the daemon ended with code {self.process.returncode}; {self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
        return f"the end of {self.log}: {' | '.join(lines)}"


@contextmanager
def running_daemon(
    root: Path, dataset: str, environment: Mapping[str, str], patience: float
) -> Iterator[Daemon]:
    """A daemon of a home, with all the processes that it starts; ended with them when the block ends.

    The working directory must be the home, and `DAGSTER_HOME` must name it: `dagster.yaml` names folders below it.

    Args:
        root: of the home.
        dataset: whose sensor is watched; it must be switched on.
        environment: of the daemon.
        patience: seconds without any event after which waiting for it ends.
    """
    log = root / LOG_FILE
    command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(root / "workspace.yaml")]
    with open_instance(root) as instance, log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            command, cwd=root, env=dict(environment), stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            yield Daemon(process, instance, f"{dataset}_watch", log, patience)
        finally:
            _stop(process)


def end_children() -> None:
    """Kill all that this process has started, before Ctrl-C ends it."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _is_retried_soon(run: dg.DagsterRun) -> bool:
    return run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a daemon as a service manager does, then whatever it has started.

    Not by SIGINT: `mrs` blocks it, in the processes that it starts as well.
    """
    if process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(children, _STOP_SECONDS / 6)
        for child in alive:
            child.kill()
