"""What runs a dataset: its jobs, the retraining schedule and the sensor for newly landed files.

Schedule and sensor exist for every dataset and stand still until its YAML (or the UI) switches them on.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.orchestration.keys import asset_key, group_name
from mrs_pipeline.orchestration.notifications import tell_of_files
from mrs_pipeline.orchestration.partitions import partitions_of
from mrs_pipeline.plan import on_request
from mrs_pipeline.stages.checks.data import FILES_SPEC
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS
from mrs_pipeline.tasks.raw_history import run_of
from mrs_pipeline.tasks.seen_files import Memory
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.watching import Look, look_at
from mrs_pipeline.windows import CRON, first_scored, scored_keys

ON_REQUEST = "experiments"
"""Group of the tasks that run only on request."""
RETRIES_TAG: Final = "dagster/max_retries"
ALSO_FAILED_STEPS_TAG: Final = "dagster/retry_on_asset_or_op_failure"
IN_ORDER = "mrs/in_order"
"""Tag of runs that are requested together: a window reads the raw rows of those before it, so `dagster.yaml` lets
one run of a dataset go at a time, in the order of the windows."""

MAX_RUNTIME_TAG: Final = "dagster/max_runtime"
_RUN_KEY_DIGITS: Final = 16

Jobs = tuple[Any, ...]
"""Asset jobs (ingest, pipeline, experiments) that Dagster resolves later; it does not export their type."""


def ingest_job_name(dataset: str) -> str:
    """The job that only reads raw files."""
    return f"{dataset}_ingest"


def pipeline_job_name(dataset: str) -> str:
    """The job from raw files to report."""
    return f"{dataset}_pipeline"


def on_request_job_name(dataset: str) -> str:
    """The job of the experiments, which run only when somebody asks for one."""
    return f"{dataset}_{ON_REQUEST}"


def build_jobs(config: DatasetConfig) -> Jobs:
    """Ingest alone, the whole way, and what runs only when it is asked for."""
    asked_for = dg.AssetSelection.groups(group_name(config.name, ON_REQUEST))
    everything = dg.AssetSelection.tag("dataset", config.name) - asked_for
    raw = [asset_key(config.name, name) for name in (RAW_INTERACTIONS, RAW_ITEMS)]
    partitions = partitions_of(config.window)
    return (
        dg.define_asset_job(
            ingest_job_name(config.name),
            dg.AssetSelection.assets(*raw),
            description=f"Reads the raw files of {config.name}: events of the chosen windows, and the catalogue.",
            partitions_def=partitions,
            tags=_limit(config),
        ),
        dg.define_asset_job(
            pipeline_job_name(config.name),
            everything,
            description=f"The whole way of {config.name} for a window, from raw files to the report. What is "
            "current is left as it is; windows before it that have not been read are read first.",
            partitions_def=partitions,
            tags=_limit(config),
        ),
        *_on_request_jobs(config, asked_for),
    )


def _on_request_jobs(config: DatasetConfig, asked_for: dg.AssetSelection) -> Jobs:
    if not on_request(config):
        return ()
    return (
        dg.define_asset_job(
            on_request_job_name(config.name),
            asked_for,
            description=f"The experiments of the survey on {config.name}: choose one, after the pipeline's job has "
            "made what it is made from.",
            partitions_def=partitions_of(config.window),
            tags=_limit(config),
        ),
    )


def _limit(config: DatasetConfig) -> dict[str, str]:
    """The tag by which Dagster's daemon ends a run that lasts too long."""
    hours = config.automation.max_hours
    return {} if hours is None else {MAX_RUNTIME_TAG: str(round(hours * 3600))}


def build_schedule(config: DatasetConfig, jobs: Jobs) -> dg.ScheduleDefinition | None:
    """At the start of a window: score the one that has closed, train for the one that opens."""
    if not config.windowed:
        return None
    _, pipeline, *_ = jobs

    @dg.schedule(
        name=f"{config.name}_retrain",
        job=pipeline,
        cron_schedule=CRON[config.window.every],
        execution_timezone="UTC",
        default_status=_status(config.automation.retrain),
        description="Scores the window that has closed and trains for the one that opens.",
    )
    def retrain(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        due = scored_keys(config.window, context.scheduled_execution_time)[-2:]
        if not due:
            return dg.SkipReason(f"{config.name} has no window with history before it yet")
        return [
            dg.RunRequest(
                run_key=f"{window}@{context.scheduled_execution_time:%Y-%m-%d}",
                partition_key=window,
                tags=_unattended(config),
            )
            for window in due
        ]

    return retrain


def build_sensor(config: DatasetConfig, home: Home, jobs: Jobs) -> dg.SensorDefinition:
    """Requests the windows that rows have come to, changed in or gone from; files that cannot be read fail a check."""

    @dg.sensor(
        name=f"{config.name}_watch",
        jobs=jobs[:2],
        minimum_interval_seconds=config.automation.watch_seconds,
        default_status=_sensor_status(config.automation.watch),
        description="Runs the windows whose raw files have landed, changed or gone.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory = Memory.parse(context.cursor)
        found = look_at(Stage(config, home), memory, config.automation.settle_seconds)
        news = {name: fault for name, fault in found.faults.items() if memory.faults.get(name) != fault}
        for fault in news.values():
            context.log.error(fault)
        tell_of_files(home, config.name, memory.faults, found.faults)
        begun = scored_keys(config.window, datetime.now(UTC))
        due = {window: why for window, why in found.due.items() if run_of(config, window) in begun}
        asked = {window: why for window, why in found.memory.asked.items() if run_of(config, window) in begun}
        requests = _requests(config, due)
        reported = [_files_check(config, found.faults)] if found.faults != memory.faults else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _why_nothing(config, found),
            cursor=found.memory.model_copy(update={"asked": asked}).model_dump_json(exclude_defaults=True),
            asset_events=reported,
        )

    return watch


def _requests(config: DatasetConfig, due: Mapping[str, str]) -> list[dg.RunRequest]:
    """The runs of the windows that are due, in order; windows of the history are read by the first scored one's."""
    runs: dict[str, list[str]] = {}
    for window in due:
        runs.setdefault(run_of(config, window), []).append(window)
    return [
        dg.RunRequest(
            run_key=f"{run}:{_reason([due[window] for window in windows])}",
            job_name=pipeline_job_name(config.name) if run in windows else ingest_job_name(config.name),
            partition_key=run if config.windowed else None,
            tags=_unattended(config),
        )
        for run, windows in runs.items()
    ]


def _reason(digests: Sequence[str]) -> str:
    """Short digest of what a run is requested for."""
    return (digests[0] if len(digests) == 1 else text_digest(*digests))[:_RUN_KEY_DIGITS]


def _unattended(config: DatasetConfig) -> dict[str, str]:
    """Tags of runs that nobody waits for: one after the other, and again where the process of one was killed.

    A step that failed is not run again: it says what must be mended, and the sensor asks when that has been done.
    """
    return {IN_ORDER: config.name, RETRIES_TAG: "2", ALSO_FAILED_STEPS_TAG: "false"}


def _files_check(config: DatasetConfig, faults: Mapping[str, str]) -> dg.AssetCheckEvaluation:
    """The check `files` of the raw rows, as the sensor sees it: what it names is left out of all runs."""
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(config.name, RAW_INTERACTIONS),
        check_name=FILES_SPEC.name,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(faults.values()) or "every file can be read",
        metadata={name: dg.MetadataValue.text(fault) for name, fault in faults.items()},
    )


def _why_nothing(config: DatasetConfig, found: Look) -> str:
    reasons = [*found.faults.values()]
    if found.due:
        reasons.append(f"read when {first_scored(config.window)} begins: {', '.join(found.due)}")
    if found.memory.waiting:
        reasons.append(f"still being written: {', '.join(sorted(found.memory.waiting))}")
    return "; ".join(reasons) or "no new or changed file"


def _status(on: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED


def _sensor_status(on: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED
