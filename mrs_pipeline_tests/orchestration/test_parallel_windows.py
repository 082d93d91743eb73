"""Many processes at work on one home, and a reader that does not let go of the catalogue."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mrs_pipeline.plan import plan
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.currency import is_current
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import record
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.stages.working import perform

FIRST, *WINDOWS = (f"2024-{month:02}" for month in range(4, 13))
SETTINGS = {**homes.BARE, "window": {**homes.BARE["window"], "score_from": FIRST}}
ALONE = (WINDOWS[0], WINDOWS[-1])
"""Windows that are run once more without company; all of them would only cost time."""

READER = """
import sys, time, duckdb
from pathlib import Path

con = duckdb.connect(sys.argv[1], read_only=True)
con.execute("SET enable_progress_bar_print = false")  # on a loaded machine a bar would stand before the answer
ready, stop, rounds, last = Path(sys.argv[2]), Path(sys.argv[3]), 0, False
while not last:
    last = stop.exists()
    for table in ("raw.interactions", "core.interactions", "core.splits", "lineage.edges", "eval.metrics"):
        windows = con.execute(f'SELECT count(*), count(DISTINCT "window") FROM {table}').fetchall()[0][1]
    rounds += 1
    ready.touch()
    time.sleep(0.02)
print(rounds, windows)
"""
"""A shell as people use it: one connection to the file of views, held open all the time, asked once more at the end."""


def _run_at_once(home: Home) -> None:
    """Run every window in a process of its own, all started together."""
    at = time.time() + 6
    workers = [homes.process(home, window, at) for window in WINDOWS]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=600)
    assert [worker.exitcode for worker in workers] == [0] * len(WINDOWS)


@pytest.mark.slow
def test_eight_windows_at_once_under_the_eyes_of_a_reader(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", SETTINGS)
    homes.run(home, [FIRST])
    ready, stop = tmp_path / "ready", tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(home.catalogue), str(ready), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not ready.exists() and reader.poll() is None:
            time.sleep(0.05)
        _run_at_once(home)
    finally:
        stop.touch()
        told, wrong = reader.communicate(timeout=60)
    assert reader.returncode == 0, wrong
    rounds, windows = map(int, told.split())
    assert rounds >= 2
    assert windows == 1 + len(WINDOWS)

    board = query(home, 'SELECT "window" FROM eval.leaderboard ORDER BY ALL')
    assert board["window"].to_list() == [FIRST, *WINDOWS]
    lost = query(
        home,
        """
        SELECT w."window", (SELECT count(*) FROM raw.interactions AS r WHERE r."window" <= w."window") AS read,
               (SELECT count(*) FROM core.interactions AS c WHERE c."window" = w."window")
               + (SELECT count(*) FROM core.quarantine AS q WHERE q."window" = w."window") AS found
        FROM (SELECT DISTINCT "window" FROM core.users) AS w WHERE read != found
        """,
    )
    assert lost.rows() == []
    for window in WINDOWS:
        stage = homes.stage_of(home, window)
        assert [
            task.name for task in plan(stage.config) if task.windowed and not is_current(stage, task)
        ] == []
    alone = homes.make(tmp_path / "alone", SETTINGS)
    for window in ALONE:
        together, apart = (homes.stage_of(each, window) for each in (home, alone))
        perform(apart)
        for node in ("core/interactions", "core/quarantine", "core/splits", "recommendations/most_pop"):
            assert record(together, Node.parse(node))[0] == record(apart, Node.parse(node))[0], (window, node)
