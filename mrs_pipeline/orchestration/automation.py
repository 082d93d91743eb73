"""What runs a dataset: its jobs, the retraining schedule and the sensor for newly landed files.

Schedule and sensor exist for every dataset and stand still until its YAML (or the UI) switches them on.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.ingest.opening import open_source
from mrs_pipeline.ingest.source import Source
from mrs_pipeline.orchestration.assets import asset_key
from mrs_pipeline.orchestration.partitions import partitions_of
from mrs_pipeline.plan import on_request
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, RAW_ITEMS
from mrs_pipeline.tasks.places import exists, windows
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.windows import CRON, scored_keys

ON_REQUEST = "experiments"
"""Group of the tasks that run only on request."""
WATCH_SECONDS = 60
IN_ORDER = "mrs/in_order"
"""Tag of runs that are requested together: a window reads the raw rows of those before it, so `dagster.yaml` lets
one run of a dataset go at a time, in the order of the windows."""

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
    asked_for = dg.AssetSelection.groups(f"{config.name}__{ON_REQUEST}")
    everything = dg.AssetSelection.tag("dataset", config.name) - asked_for
    raw = [asset_key(config.name, name) for name in (RAW_INTERACTIONS, RAW_ITEMS)]
    partitions = partitions_of(config.window)
    return (
        dg.define_asset_job(
            ingest_job_name(config.name), dg.AssetSelection.assets(*raw), partitions_def=partitions
        ),
        dg.define_asset_job(pipeline_job_name(config.name), everything, partitions_def=partitions),
        *_on_request_jobs(config, asked_for),
    )


def _on_request_jobs(config: DatasetConfig, asked_for: dg.AssetSelection) -> Jobs:
    if not on_request(config):
        return ()
    return (
        dg.define_asset_job(
            on_request_job_name(config.name), asked_for, partitions_def=partitions_of(config.window)
        ),
    )


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
                tags={IN_ORDER: config.name},
            )
            for window in due
        ]

    return retrain


def build_sensor(config: DatasetConfig, home: Home, jobs: Jobs) -> dg.SensorDefinition:
    """Requests the windows whose rows stand in source files that are new or have changed."""

    @dg.sensor(
        name=f"{config.name}_watch",
        jobs=jobs[:2],
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=_sensor_status(config.automation.watch),
        description="Runs the windows whose raw files have newly landed.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        source = open_source(config.source, home.root)
        seen = json.loads(context.cursor) if context.cursor else {}
        now = _signatures(source)
        landed = [name for name, signature in now.items() if seen.get(name) != signature]
        if not landed:
            return dg.SkipReason("no new or changed file")
        due = _windows_in(config, home, source, landed)
        if not seen:  # the first look: what was read before the sensor was switched on is not new
            due = [window for window in due if not exists(Stage(config, home), RAW_INTERACTIONS.at(window))]
        requests = [_request(config, window, [now[name] for name in landed]) for window in due]
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(now))

    return watch


def _request(config: DatasetConfig, window: str, signatures: list[str]) -> dg.RunRequest:
    scored = window in scored_keys(config.window, datetime.now(UTC))
    return dg.RunRequest(
        run_key=f"{window}:{text_digest(*signatures)[:16]}",
        job_name=pipeline_job_name(config.name) if scored else ingest_job_name(config.name),
        partition_key=window if config.windowed else None,
        tags={IN_ORDER: config.name},
    )


def _signatures(source: Source) -> dict[str, str]:
    """Landing file -> size and time of change: cheap enough for every minute."""
    return {
        str(path.relative_to(source.root)): f"{status.st_size}-{status.st_mtime_ns}"
        for path in source.landings()
        if (status := path.stat())
    }


def _windows_in(config: DatasetConfig, home: Home, source: Source, names: Sequence[str]) -> list[str]:
    """The dataset's windows that rows of these files fall into; the first one also takes what is older."""
    if not config.windowed:
        return [FULL_WINDOW]
    with Stage(config, home).lake.connect() as con:
        touched = {
            key for name in names for key in source.windows_of(con, source.root / name, config.window.every)
        }
    keys = windows(config)
    due = {max(key, keys[0]) for key in touched} if keys else set()
    return [key for key in keys if key in due]


def _status(on: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED


def _sensor_status(on: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED
