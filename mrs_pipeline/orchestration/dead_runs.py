"""Runs whose process was killed: they are closed, so that their places in the pools are free again.

A run of the command line lives in one process and says so in a tag. Dagster's daemon watches the runs that it
launched itself; nobody watches these but the next `mrs run`.
"""

import os
import socket
from typing import Final

import dagster as dg
import psutil

PROCESS_TAG: Final = "mrs/process"
"""Host, process number and its start, which together no other process ever has."""
UNFINISHED: Final = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.NOT_STARTED,
]
"""States of a run that somebody is at."""


def this_process() -> str:
    """The tag's value for runs of this process."""
    return _name(psutil.Process(os.getpid()))


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Report runs of this machine's dead processes as failed and give back the pool slots that they hold."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and not _alive(process):
            instance.report_run_failed(
                run, "its process was killed; the next run goes on from what it had finished"
            )
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _alive(process: str) -> bool:
    """Whether the process still runs; one of another machine is taken to."""
    host, pid, _ = process.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        found = psutil.Process(int(pid))
        return _name(found) == process and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(process: psutil.Process) -> str:
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"
