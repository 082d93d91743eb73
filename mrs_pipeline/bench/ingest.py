"""What `mrs bench ingest` measures: a large event log from its files to the splits of every window, checks included.

Seconds, peak memory and disk by stage, in a process of its own, on a home that is thrown away afterwards. The settings
are those that `mrs init` proposes for the log. How the log is made is `event_log`.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl

from mrs_pipeline.bench.event_log import LogSize, write_event_log
from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.errors import MrsError
from mrs_pipeline.ingest.inspection import inspect_folder
from mrs_pipeline.memory import forget_peak, peak_memory_mb
from mrs_pipeline.schema import FULL_WINDOW
from mrs_pipeline.stages.core import core_tasks
from mrs_pipeline.stages.ingest import forget_source, ingest_tasks
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.tasks.currency import provenance_of
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Outcome, Stage, Task
from mrs_pipeline.windows import scored_keys, window_keys

T = TypeVar("T")


class CheckFailedError(MrsError):
    """A check of the made-up log failed, so its cost says nothing."""


@dataclass(frozen=True)
class StageCost:
    """What one stage cost over all its windows.

    Attributes:
        stage: its name.
        windows: how many windows it was run for.
        rows: rows that it wrote, over all windows and tables.
        seconds: of the work itself, on the clock.
        check_seconds: of its checks.
        check_share: check_seconds / seconds.
        cpu_seconds: of the work itself, over all threads; other programs on the machine do not change it.
        check_cpu_seconds: of its checks.
        slowest_window: seconds of its slowest window, without checks.
        peak_memory_mb: most resident memory of the process meanwhile, what earlier stages keep included.
        disk_mb: of the tables that it left.
    """

    stage: str
    windows: int = 0
    rows: int = 0
    seconds: float = 0.0
    check_seconds: float = 0.0
    check_share: float = 0.0
    cpu_seconds: float = 0.0
    check_cpu_seconds: float = 0.0
    slowest_window: float = 0.0
    peak_memory_mb: float = 0.0
    disk_mb: float = 0.0


class _Taken(NamedTuple):
    """Seconds of a piece of work, by the clock and of the CPUs."""

    clock: float
    cpu: float


def bench_ingest(size: LogSize, folder: Path | None = None, last: int | None = None) -> pl.DataFrame:
    """Write a log, propose its settings, read it, build core tables and splits of every scored window, check all.

    Args:
        size: of the log.
        folder: where the log and the tables are kept meanwhile (the raw log takes about 15 bytes a row, the tables of
            24 windows about 30 times that); the system's folder for temporary files if None.

        last: core tables and splits of this many windows only, the last, which are the largest; of all if None.

    Returns:
        A row a stage, in the order in which they ran: interactions (of the log), and what `StageCost` says.

    Raises:
        CheckFailedError: a blocking check failed.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="mrs-bench-") as root:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            process.submit(_write, Path(root), size).result()
        # another fresh process, so that peak memory is that of reading and not of making up
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
            costs = process.submit(_measured, Path(root), last).result()
    table = pl.DataFrame([asdict(cost) for cost in costs])
    return table.select(pl.lit(size.rows).alias("interactions"), pl.all())


def _write(root: Path, size: LogSize) -> None:
    with Lake(root).connect() as con:
        write_event_log(con, root / "log", size)


def _measured(root: Path, last: int | None) -> list[StageCost]:
    forget_peak()
    inspection, taken = _timed(lambda: inspect_folder(root / "log"))
    costs = [
        StageCost("init", 1, seconds=taken.clock, cpu_seconds=taken.cpu, peak_memory_mb=peak_memory_mb())
    ]
    config = DatasetConfig.model_validate({**inspection.settings, "models": {}, "features": []})
    now = datetime.now(UTC)
    every, scored = (
        window_keys(config.window, now),
        scored_keys(config.window, now)[-last if last else None :],
    )
    for task in (*ingest_tasks(config), *core_tasks(config)):
        windows = [FULL_WINDOW] if not task.windowed else scored if task.inputs else every
        if task.inputs:
            forget_source()
        costs.append(_cost(task, [Stage(config, Home(root), window) for window in windows]))
    return costs


def _cost(task: Task, stages: Sequence[Stage]) -> StageCost:
    """Run one task and its checks at each of its windows."""
    forget_peak()
    work: list[_Taken] = []
    checks: list[_Taken] = []
    rows, disk = 0, 0
    for stage in stages:
        outcomes, taken = _timed(partial(_made, stage, task))
        work.append(taken)
        checks.append(_checked(stage, task))
        rows += sum(int(outcome.facts["rows"]) for outcome in outcomes)
        disk += sum(stage.lake.size(table_of(stage, outcome.node)) for outcome in outcomes)
    seconds, check_seconds = sum(each.clock for each in work), sum(each.clock for each in checks)
    return StageCost(
        stage=str(task.name),
        windows=len(stages),
        rows=rows,
        seconds=seconds,
        check_seconds=check_seconds,
        check_share=check_seconds / seconds,
        cpu_seconds=sum(each.cpu for each in work),
        check_cpu_seconds=sum(each.cpu for each in checks),
        slowest_window=max(each.clock for each in work),
        peak_memory_mb=peak_memory_mb(),
        disk_mb=disk / 1e6,
    )


def _made(stage: Stage, task: Task) -> Sequence[Outcome]:
    return task.run(stage, task, provenance_of(stage, task))


def _checked(stage: Stage, task: Task) -> _Taken:
    """What a task's checks took."""
    assert task.check is not None
    outcomes, taken = _timed(partial(task.check, stage, task))
    for outcome in outcomes:
        if outcome.blocking and not outcome.passed:
            raise CheckFailedError(f"{outcome.output} at {stage.window}: {outcome.description}")
    return taken


def _timed(work: Callable[[], T]) -> tuple[T, _Taken]:
    clock, cpu = time.perf_counter(), time.process_time()
    done = work()
    return done, _Taken(time.perf_counter() - clock, time.process_time() - cpu)
