"""Tasks as Dagster assets and asset checks. Only the translation: what a task does is in `stages`.

Its key and group are made in `keys`, its partitions are the dataset's windows, its tags are the taxonomy cells.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from mrs_pipeline.code import edited_files
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import InputError, MrsError
from mrs_pipeline.machine import machine_fault
from mrs_pipeline.memory import keep_what_is_loaded
from mrs_pipeline.orchestration.accelerators import POOL, own_accelerator
from mrs_pipeline.orchestration.conditions import check_condition_of, condition_of, freshness_of
from mrs_pipeline.orchestration.frames import FRAME_TYPES, LAKE_FRAMES, shown_frame
from mrs_pipeline.orchestration.keys import asset_key, group_name
from mrs_pipeline.orchestration.lineage_events import told
from mrs_pipeline.orchestration.metadata import as_metadata, column_metadata
from mrs_pipeline.orchestration.notifications import tell_of_checks
from mrs_pipeline.orchestration.partitions import partitions_of, the_one_before, up_to_here, windows_of
from mrs_pipeline.orchestration.progress import SECONDS_FACT, announce, begin, on_terminal
from mrs_pipeline.remote.transient import is_transient
from mrs_pipeline.storage.catalogue import refresh_sparingly
from mrs_pipeline.storage.digests import text_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.publication import publication
from mrs_pipeline.tasks.currency import keep_version, provenance_of, refuse_stale, version
from mrs_pipeline.tasks.lineage import record_checks, record_outcomes, recorded_checks, taken_over
from mrs_pipeline.tasks.node import RAW_INTERACTIONS, Node
from mrs_pipeline.tasks.places import exists, node_of, record, require_window, schema_of
from mrs_pipeline.tasks.raw_history import read_first, run_of
from mrs_pipeline.tasks.standing import standing
from mrs_pipeline.tasks.task import CheckOutcome, Outcome, Stage, Task

LOG = logging.getLogger("mrs_pipeline")
FORCE_TAG: Final = "mrs/force"
"""Tag of runs that make everything they are told, current or not; others leave what is current as it is."""

RETRIES: Final = 2
"""How often a step is tried again after a fault of network or storage that may pass; nothing else is."""
RETRY_SECONDS: float = 5.0
"""Wait before the first of them; four times as long before the second."""


def build_asset(
    config: DatasetConfig, home: Home, task: Task, tasks: Mapping[Node, Task]
) -> dg.AssetsDefinition:
    """One task as a multi-asset; `tasks` maps each output of the dataset to the task that makes it."""

    @dg.multi_asset(
        name=_op_name(config, task),
        outs={_out_name(output): _out(config, task, output) for output in task.outputs},
        deps=[*(_dep(config, task, name, tasks) for name in task.inputs), *_self_dep(config, task)],
        resource_defs={"lake_frames": LAKE_FRAMES},
        partitions_def=partitions_of(config.window) if task.windowed else None,
        backfill_policy=dg.BackfillPolicy.single_run() if RAW_INTERACTIONS in task.outputs else None,
        pool=task.pool,
    )
    def materialise(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        begin(task.name)
        keep_what_is_loaded()
        results: dict[Node, list[Outcome]] = {output: [] for output in task.outputs}
        asked, made = windows_of(context, task), False
        for window in sorted([*read_first(Stage(config, home), task, asked), *asked]):
            with on_terminal():
                outcomes = _perform(Stage(config, home, window), task, tasks, context)
            made = made or any(outcome.made for outcome in outcomes)
            for outcome in outcomes:
                if window in asked:
                    results[outcome.node.asset].append(outcome)
                elif outcome.made and run_of(config, window) == window:
                    context.log_event(_of_another_window(config, window, outcome))
        if made:
            refresh_sparingly(home)
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
            asset=asset_key(config.name, spec.output),
            description=spec.description,
            blocking=spec.blocking,
            partitions_def=partitions,
            automation_condition=check_condition_of(task),
        )
        for spec in task.check_specs
    ]

    @dg.multi_asset_check(name=f"{_op_name(config, task)}__checks", specs=specs)
    def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        found: dict[tuple[Node, str], list[CheckOutcome]] = {}
        asked = windows_of(context, task)
        for window in [*asked, *read_first(Stage(config, home), task, asked)]:
            stage = Stage(config, home, window)
            if window not in asked and not _to_check(stage, task):
                continue
            for outcome in _checked(stage, task, check, context.run):
                seen = outcome if window in asked else _named(outcome, window)
                found.setdefault((outcome.output, outcome.name), []).append(seen)
        for (
            outcomes
        ) in found.values():  # one result a check: the first window that fails speaks for the range
            yield _check_result(config, min(outcomes, key=lambda outcome: outcome.passed))

    return run_checks


def _to_check(stage: Stage, task: Task) -> bool:
    """Whether checks have to look at a window that was read for another; where nothing was read there is nothing."""
    return exists(stage, node_of(stage, task.outputs[0])) and not standing(stage, task).current


def _perform(
    stage: Stage, task: Task, tasks: Mapping[Node, Task], context: dg.AssetExecutionContext
) -> list[Outcome]:
    """Run a task where it is due; what a user can mend ends the step with its one sentence and is not retried."""
    started = time.perf_counter()
    store = publication(stage.home)
    try:
        if task.windowed:
            require_window(stage)
        if store is not None:
            store.pull()
        found = None if FORCE_TAG in context.run.tags else standing(stage, task)
        if found is not None and not found.must_make and not found.unrecorded:
            return [_unchanged(context, stage, node) for node in task.outputs]
        if task.windowed:
            refuse_stale(stage, task, tasks)
        keep_version(stage, task)
        announce(f"{stage.config.name} {stage.window} {task.name}")
        recorded = found is None or not found.unrecorded
        with told(stage, task, context.run.run_id, context.run.job_name) as events:
            outcomes = _run(stage, task) if recorded else taken_over(stage, task)
            _require_code_as_loaded()
            record_outcomes(stage, task, outcomes, context.run.run_id)
            events.made(outcomes, record(stage, outcomes[0].node)[1].upstream)
        if store is not None:
            store.push()
    except Exception as error:
        if is_transient(error) and context.retry_number < RETRIES:
            LOG.warning("%s %s %s: tried again: %s", stage.config.name, stage.window, task.name, error)
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS * 4**context.retry_number) from error
        raise _failure(stage, error) from error
    reasons = "; ".join(found.reasons) if found else "asked for with force"
    seconds = time.perf_counter() - started
    LOG.info("%s %s %s: %.1f s (%s)", stage.config.name, stage.window, task.name, seconds, reasons)
    facts = {
        **(task.show(stage, task) if task.show else {}),
        "why it was made": reasons,
        SECONDS_FACT: round(seconds, 3),
    }
    return [replace(outcome, facts={**outcome.facts, **facts}) for outcome in outcomes]


def _run(stage: Stage, task: Task) -> list[Outcome]:
    """Does the task, on a GPU of its own where it uses one."""
    own = own_accelerator(stage.home.accelerators) if task.pool == POOL else nullcontext()
    with own:
        return list(task.run(stage, task, provenance_of(stage, task)))


def _failure(stage: Stage, error: Exception) -> Exception:
    """What a user can mend as one sentence, which no retry would change; a fault of the program as it is."""
    sentence = str(error) if isinstance(error, MrsError) else machine_fault(error, stage.home.root)
    return error if sentence is None else dg.Failure(description=sentence, allow_retries=False)


def _require_code_as_loaded() -> None:
    """Refuse to record what a process has made whose source files were edited while it was running.

    Raises:
        InputError: names the first of the files.
    """
    edited = edited_files()
    if edited:
        raise InputError(
            f"{edited[0]} was edited while this process was running, so what it makes cannot be recorded as made by "
            "the code that is there now: start the run again (in `mrs ui`, reload the code location first)"
        )


def _unchanged(context: dg.AssetExecutionContext, stage: Stage, output: Node) -> Outcome:
    """What is stored of an output that is current, with the facts that were shown when it was made."""
    digest, _ = record(stage, node_of(stage, output))
    partitions = [stage.window] if stage.config.windowed and context.has_partition_key else None
    made = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset_key(stage.config.name, output), asset_partitions=partitions),
        limit=1,
    ).records
    event = made[0].asset_materialization if made else None
    facts = dict(event.metadata) if event else {}
    return Outcome(
        output,
        digest,
        {**facts, "why it was made": "it was not: code, settings and inputs are as they were"},
        made=False,
    )


def _checked(
    stage: Stage, task: Task, check: Callable[[Stage, Task], Sequence[CheckOutcome]], run: dg.DagsterRun
) -> list[CheckOutcome]:
    """The outcomes of a task's checks, as recorded where nothing has changed, unless they are asked for alone."""
    if run.asset_selection and FORCE_TAG not in run.tags and standing(stage, task).current:
        return recorded_checks(stage, task)
    try:
        outcomes = list(check(stage, task))
        record_checks(stage, task, outcomes, run.run_id)
        store = publication(stage.home)
        if store is not None:
            store.push()
    except Exception as error:
        raise _failure(stage, error) from error
    tell_of_checks(stage, outcomes)
    return outcomes


def _out(config: DatasetConfig, task: Task, output: Node) -> dg.AssetOut:
    spec = dg.AssetSpec(
        asset_key(config.name, output),
        description=_description(task, output),
        group_name=group_name(config.name, task.group),
        code_version=version(task),
        kinds=set(task.kinds),
        tags={"dataset": config.name, **dict.fromkeys(task.tags, "")},
        owners=config.owners,
        automation_condition=condition_of(config, task),
        freshness_policy=freshness_of(config, output),
    )
    if output in FRAME_TYPES:
        return dg.AssetOut.from_spec(spec, dagster_type=FRAME_TYPES[output], io_manager_key="lake_frames")
    return dg.AssetOut.from_spec(spec, dagster_type=dg.Nothing)


def _description(task: Task, output: Node) -> str:
    """What the task does; of one of several tables, first what a row of it is."""
    table = schema_of(output)
    if len(task.outputs) == 1 or table is None:
        return task.description
    return f"{table.description}\n\nMade with its neighbours: {task.description}"


def _dep(config: DatasetConfig, task: Task, name: Node, tasks: Mapping[Node, Task]) -> dg.AssetDep:
    key = asset_key(config.name, name)
    if not config.windowed or not tasks[name].windowed:
        return dg.AssetDep(key)
    if not task.windowed:
        return dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping())
    return (
        dg.AssetDep(key, partition_mapping=up_to_here(config.window))
        if name == RAW_INTERACTIONS
        else dg.AssetDep(key)
    )


def _self_dep(config: DatasetConfig, task: Task) -> list[dg.AssetDep]:
    """On its own window before, so that a backfill makes windows in their order."""
    start = task.goes_on_from
    if start not in task.outputs or start is None:
        return []
    return [dg.AssetDep(asset_key(config.name, start), partition_mapping=the_one_before())]


def _result(
    config: DatasetConfig, home: Home, output: Node, outcomes: list[Outcome]
) -> dg.MaterializeResult[Any]:
    last, versions = outcomes[-1], [outcome.digest for outcome in outcomes]
    key = asset_key(config.name, output)
    metadata = {**as_metadata(last.facts), **column_metadata(config, output, last.columns)}
    data_version = dg.DataVersion(versions[0] if len(versions) == 1 else text_digest(*versions))
    if output in FRAME_TYPES:
        frame = shown_frame(Lake(home.lake), config.name)
        return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version, value=frame)
    return dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=data_version)


def _of_another_window(config: DatasetConfig, window: str, outcome: Outcome) -> dg.AssetMaterialization:
    """What the UI is told of a window that was made on the way to another."""
    return dg.AssetMaterialization(
        asset_key(config.name, outcome.node.asset),
        metadata=as_metadata(outcome.facts),
        partition=window,
        tags={DATA_VERSION_TAG: outcome.digest},
    )


def _named(outcome: CheckOutcome, window: str) -> CheckOutcome:
    """An outcome that says which window it is of, where that is not the run's own."""
    return replace(outcome, description=f"window {window}, whose rows are read too: {outcome.description}")


def _check_result(config: DatasetConfig, outcome: CheckOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_key(config.name, outcome.output),
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if outcome.blocking else dg.AssetCheckSeverity.WARN,
        description=outcome.description,
        metadata=as_metadata(outcome.facts),
    )


def _out_name(output: Node) -> str:
    return f"{output.kind}__{output.name}"


def _op_name(config: DatasetConfig, task: Task) -> str:
    return "__".join((config.name, *task.name.split("/")))
