"""Many processes at work on one home, and a reader that does not let go of the catalogue."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mrs_pipeline.reporting import drawing
from mrs_pipeline.stages.nodes import is_current, record
from mrs_pipeline.stages.plan import plan
from mrs_pipeline.storage.catalogue import query, refresh
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.stages.working import perform

FIRST, *WINDOWS = (f"2024-{month:02}" for month in range(4, 13))
SETTINGS = {**homes.BARE, "window": {**homes.BARE["window"], "score_from": FIRST}}

READER = """
import sys, time, duckdb
from pathlib import Path

con = duckdb.connect(sys.argv[1], read_only=True)
stop, asked = Path(sys.argv[2]), 0
while not stop.exists():
    for table in ("raw.interactions", "core.interactions", "core.splits", "eval.metrics", "lineage.edges"):
        con.execute(f"SELECT count(*), count(DISTINCT dataset) FROM {table}").fetchall()
        asked += 1
    time.sleep(0.02)
print(asked)
"""
"""A shell as people use it: one connection to the file of views, held open all the time."""


def run_window(root: Path, window: str, at: float) -> None:
    """One process of the backfill: waits for the others, then runs its window as `mrs run` does."""
    os.environ["OMP_NUM_THREADS"] = "1"
    drawing.svg = lambda figure, name: "<svg></svg>"  # plots cost seconds and have no part in this
    time.sleep(max(0.0, at - time.time()))
    homes.run(Home(root), [window])
    print("CPU", window, time.process_time(), time.time() - at, flush=True)


def _at_once(home: Home) -> list[int | None]:
    """Run all windows in a process each, started together; their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mrs_pipeline.orchestration.launch", "great_expectations", "matplotlib"])
    at = time.time() + 6
    workers = [context.Process(target=run_window, args=(home.root, window, at)) for window in WINDOWS]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=400)
    return [worker.exitcode for worker in workers]


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_eight_windows_at_once_under_the_eyes_of_a_reader(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", SETTINGS)
    homes.run(home, [FIRST])
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(refresh(home)), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert _at_once(home) == [0] * len(WINDOWS)
    finally:
        stop.touch()
        told, wrong = reader.communicate(timeout=60)
    assert reader.returncode == 0, wrong
    assert int(told) > 50

    board = query(home, 'SELECT "window" FROM eval.leaderboard ORDER BY ALL')
    assert board["window"].to_list() == [FIRST, *WINDOWS]
    alone = homes.make(tmp_path / "alone", SETTINGS)
    for window in WINDOWS:
        together, apart = (homes.stage_of(each, window) for each in (home, alone))
        perform(apart)
        for task in plan(together.config):
            assert not task.windowed or is_current(together, task), (window, task.name)
        for node in ("core/interactions", "core/quarantine", "core/splits", "recommendations/most_pop"):
            assert record(together, node)[0] == record(apart, node)[0], (window, node)
