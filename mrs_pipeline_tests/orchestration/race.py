"""Rows appended to a file at twenty moments of its ingestion: are any lost?

`python -m mrs_pipeline_tests.orchestration.race [ROWS [TIMINGS [job] [command]]]`, through Dagster's job and `mrs run`.
A row is lost where its window counts as current and the row is not in it. Prints a line a timing and the sum.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import duckdb

from mrs_pipeline.orchestration.launch import run_dataset
from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.schema import USER_ID
from mrs_pipeline.stages.ingest import forget_source
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.standing import standing
from mrs_pipeline_tests.orchestration import homes

WINDOW: Final = "2024-02"
LATE: Final = "late"
SHOP: Final[dict[str, Any]] = {
    "name": "shop",
    "source": {"path": "shop"},
    "window": {"every": "month", "start": "2024-01", "end": "2024-02"},
    "models": {"most_pop": None},
}


@dataclass(frozen=True)
class Shot:
    """One timing.

    Attributes:
        at: seconds from the start of the run to the append.
        seconds: of the run.
        current: whether the window counts as current when the run has ended.
        rows: appended rows that the window has by then.
        later: appended rows that it has after one more run, where it is due.
    """

    at: float
    seconds: float
    current: bool
    rows: int
    later: int

    @property
    def lost(self) -> bool:
        """Whether nobody will ever read the row."""
        return (self.current and self.rows == 0) or self.later != 1


def write_log(path: Path, rows: int) -> None:
    """A log of January and February, half of its rows in each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT 'u' || (i * 7919 % 50000) AS user_id, 'i' || (i * 104729 % 5000) AS item_id, "
            f"strftime(TIMESTAMP '2024-01-01' + to_seconds((i * 5100000 // {rows})), '%Y-%m-%d %H:%M:%S') AS timestamp "
            f"FROM range({rows}) AS r(i)) TO '{path}' (HEADER)"
        )


def by_job(home: Home) -> None:
    """Dagster's own job of the window, as the UI and the sensor start it."""
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        job = load_project(home).definitions.resolve_job_def("shop_ingest")
        assert job.execute_in_process(instance=instance, partition_key=WINDOW).success
    forget_source()


def by_command(home: Home) -> None:
    """What `mrs run shop` does before the core tables."""
    with homes.entered(home):
        for line in run_dataset(load_project(home), "shop", [WINDOW], None, False):
            if "steps are due" in line:
                break


WAYS: Final[dict[str, Callable[[Home], None]]] = {"job": by_job, "command": by_command}


def shoot(root: Path, rows: int, run: Callable[[Home], None], at: float | None) -> Shot:
    """Ingest a fresh log, append a row `at` seconds after the start, and look whether it can be lost."""
    home = homes.make(root / "home", SHOP)
    log = home.root / "shop" / "interactions.csv"
    write_log(log, rows)

    def append() -> None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{LATE},i1,2024-02-20 12:00:00\n")

    timer = threading.Timer(at or 0.0, append)
    started = time.perf_counter()
    if at is not None:
        timer.start()
    run(home)
    seconds = time.perf_counter() - started
    if at is None:
        return Shot(0.0, seconds, True, 1, 1)
    timer.join()
    stage = homes.stage_of(home, WINDOW, "shop")
    current = standing(stage, homes.task_of(stage, "raw/interactions")).current
    found = _late(home)
    if not current:
        run(home)
    return Shot(at, seconds, current, found, _late(home))


def _late(home: Home) -> int:
    stage = homes.stage_of(home, WINDOW, "shop")
    table = stage.table("raw", "interactions")
    with stage.lake.connect() as con:
        query = f"SELECT count(*) FROM {stage.lake.scan(table)} WHERE {USER_ID} = '{LATE}'"
        return int(con.execute(query).fetchall()[0][0])


def main(rows: int = 2_000_000, timings: int = 20, *ways: str) -> int:
    """All timings both ways, or those that are named; the number of lost rows."""
    lost = 0
    for way in ways or WAYS:
        run = WAYS[way]
        with tempfile.TemporaryDirectory() as folder:
            whole = shoot(Path(folder), rows, run, None).seconds
        for number in range(timings):
            with tempfile.TemporaryDirectory() as folder:
                shot = shoot(Path(folder), rows, run, whole * (number + 0.5) / timings)
            lost += shot.lost
            whole = shot.seconds if shot.at > shot.seconds else whole  # the machine has become faster
            print(way, shot, "LOST" if shot.lost else "", flush=True)
        print(
            f"{way}: {rows:,} rows, run of {whole:.1f} s, {timings} timings, lost so far {lost}", flush=True
        )
    return lost


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
