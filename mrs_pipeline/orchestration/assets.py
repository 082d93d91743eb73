"""Tasks as Dagster assets and asset checks. Only the translation: what a task does is in `stages`.

An asset's key is `<dataset>/<output>`, its partitions are the dataset's windows, its tags are the taxonomy cells.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import MrsError
from mrs_pipeline.orchestration.frames import FRAME_TYPES, LAKE_FRAMES, shown_frame
from mrs_pipeline.orchestration.metadata import as_metadata, column_metadata
from mrs_pipeline.orchestration.partitions import partitions_of, up_to_here, windows_of
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.storage.catalogue import refresh
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.lineage import left_behind, record_checks, record_outcomes, was_cut_off
from mrs_pipeline.tasks.nodes import RAW_INTERACTIONS, refuse_stale, version
from mrs_pipeline.tasks.task import CheckOutcome, Outcome, Stage, Task

LOG = logging.getLogger("mrs_pipeline")
GO_ON_TAG: Final = "mrs/goes_on"
"""Tag of runs that make what is due, and so may keep what a killed run has made; others make all that they are told."""


def key_of(dataset: str, output: str) -> dg.AssetKey:
    """`core/items` of `demo` is the asset `demo/core/items`."""
    return dg.AssetKey([dataset, *output.split("/")])


def build_asset(
    config: DatasetConfig, home: Home, task: Task, tasks: Mapping[str, Task]
) -> dg.AssetsDefinition:
    """One task as a multi-asset; `tasks` maps each output of the dataset to the task that makes it."""

    @dg.multi_asset(
        name=_op_name(config, task),
        outs={_out_name(output): _out(config, task, output) for output in task.outputs},
        deps=[_dep(config, task, name, tasks) for name in task.inputs],
        resource_defs={"lake_frames": LAKE_FRAMES},
        partitions_def=partitions_of(config.window) if task.windowed else None,
        backfill_policy=dg.BackfillPolicy.single_run() if task.name == RAW_INTERACTIONS else None,
        pool=task.pool,
    )
    def materialise(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        results: dict[str, list[Outcome]] = {output: [] for output in task.outputs}
        for window in windows_of(context) if task.windowed else [FULL_WINDOW]:
            stage = Stage(config, home, window)
            for outcome in _perform(stage, task, tasks, context.run):
                results[outcome.node.partition("@")[0]].append(outcome)
        refresh(home)
        for output, outcomes in results.items():
            yield _result(config, home, output, outcomes)

    return materialise


def build_checks(config: DatasetConfig, home: Home, task: Task) -> dg.AssetChecksDefinition | None:
    """The guards of a task's outputs as asset checks of their own, so that they can be run again alone."""
    if task.check is None:
        return None
    check = task.check
    partitions = partitions_of(config.window) if task.windowed else None
    specs = [
        dg.AssetCheckSpec(
            spec.name,
            asset=key_of(config.name, spec.output),
            description=spec.description,
            blocking=spec.blocking,
            partitions_def=partitions,
        )
        for spec in task.check_specs
    ]

    @dg.multi_asset_check(name=f"{_op_name(config, task)}__checks", specs=specs)
    def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        found: dict[tuple[str, str], list[CheckOutcome]] = {}
        for window in windows_of(context) if task.windowed else [FULL_WINDOW]:
            stage = Stage(config, home, window)
            outcomes = list(check(stage, task))
            record_checks(stage, task, outcomes, context.run.run_id)
            for outcome in outcomes:
                found.setdefault((outcome.output, outcome.name), []).append(outcome)
        for (
            outcomes
        ) in found.values():  # one result a check: the first window that fails speaks for the range
            yield _check_result(config, min(outcomes, key=lambda outcome: outcome.passed))

    return run_checks


def _perform(stage: Stage, task: Task, tasks: Mapping[str, Task], run: dg.DagsterRun) -> list[Outcome]:
    """Run a task; what a user can mend ends the step with its one sentence and is not retried."""
    started = time.perf_counter()
    try:
        if task.windowed:
            refuse_stale(stage, task, tasks)
        kept = task.keep and GO_ON_TAG in run.tags and was_cut_off(stage, task)
        outcomes = left_behind(stage, task) if kept else list(task.run(stage, task))
        record_outcomes(stage, task, outcomes, run.run_id)
        LOG.info(
            "%s %s %s: %.1f s", stage.config.name, stage.window, task.name, time.perf_counter() - started
        )
    except MrsError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    return outcomes


def _out(config: DatasetConfig, task: Task, output: str) -> dg.AssetOut:
    spec = dg.AssetSpec(
        key_of(config.name, output),
        description=task.description,
        group_name=f"{config.name}__{task.group}",
        code_version=version(task),
        kinds=set(task.kinds),
        tags={"dataset": config.name, **dict.fromkeys(task.tags, "")},
    )
    if output in FRAME_TYPES:
        return dg.AssetOut.from_spec(spec, dagster_type=FRAME_TYPES[output], io_manager_key="lake_frames")
    return dg.AssetOut.from_spec(spec, dagster_type=dg.Nothing)


def _dep(config: DatasetConfig, task: Task, name: str, tasks: Mapping[str, Task]) -> dg.AssetDep:
    key = key_of(config.name, name)
    if not config.windowed or not tasks[name].windowed:
        return dg.AssetDep(key)
    if not task.windowed:
        return dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping())
    return (
        dg.AssetDep(key, partition_mapping=up_to_here(config.window))
        if name == RAW_INTERACTIONS
        else dg.AssetDep(key)
    )


def _result(
    config: DatasetConfig, home: Home, output: str, outcomes: list[Outcome]
) -> dg.MaterializeResult[Any]:
    last, versions = outcomes[-1], [outcome.digest for outcome in outcomes]
    key = key_of(config.name, output)
    metadata = {**as_metadata(last.facts), **column_metadata(config, output, last.columns)}
    data_version = dg.DataVersion(versions[0] if len(versions) == 1 else text_digest(*versions))
    if output in FRAME_TYPES:
        frame = shown_frame(Lake(home.lake), config.name)
        return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version, value=frame)
    return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version)


def _check_result(config: DatasetConfig, outcome: CheckOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key_of(config.name, outcome.output),
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if outcome.blocking else dg.AssetCheckSeverity.WARN,
        description=outcome.description,
        metadata=as_metadata(outcome.facts),
    )


def _out_name(output: str) -> str:
    return output.replace("/", "__")


def _op_name(config: DatasetConfig, task: Task) -> str:
    return f"{config.name}__{task.name.replace('/', '__')}"
