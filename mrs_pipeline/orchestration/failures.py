"""Why a run of Dagster failed, in the words of what failed first."""

import re
from typing import Final

import dagster as dg

from mrs_pipeline.orchestration.keys import output_of

_KILLED: Final = re.compile(r"Run execution process for \S+ ((?:was terminated by|unexpectedly exited)[^.]*)")
"""How Dagster's code server says that the process of a run is gone."""


def failure_of_run(instance: dg.DagsterInstance, run: str, job: str) -> str:
    """What failed first: a blocking check, a step that says why, an error and where it stands, or the run's process.

    Args:
        instance: where the run is recorded.
        run: its id.
        job: its job's name.
    """
    details = f"(run {run} in `mrs ui` has the details)"
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            dataset, output = output_of(check.asset_key)
            return f"check {check.check_name} of {dataset}/{output}: {check.description} {details}"
    for event in _events(instance, run, dg.DagsterEventType.STEP_FAILURE):
        failure = event.step_failure_data
        if failure.user_failure_data and failure.user_failure_data.description:
            return str(failure.user_failure_data.description)
        error = failure.error
        while error is not None and error.cause is not None:
            error = error.cause
        message = error.message.strip() if error else "unknown error"
        return f"step {event.step_key} of {job} failed: {message} {details}"
    for event in _events(instance, run, dg.DagsterEventType.ENGINE_EVENT):
        ended = _KILLED.search(event.message or "")
        if ended is not None:
            return f"the process of {job} {ended[1]} {details}"
    return f"{job} failed {details}"


def _events(instance: dg.DagsterInstance, run: str, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    """The events of a kind, in their order."""
    entries = instance.all_logs(run, of_type=kind)
    return [entry.dagster_event for entry in entries if entry.dagster_event is not None]
