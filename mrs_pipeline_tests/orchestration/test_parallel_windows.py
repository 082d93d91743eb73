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
stop, asked = Path(sys.argv[2]), 0
while not stop.exists():
    for table in ("raw.interactions", "core.interactions", "core.splits", "eval.metrics", "lineage.edges"):
        con.execute(f"SELECT count(*), count(DISTINCT dataset) FROM {table}").fetchall()
        asked += 1
    time.sleep(0.02)
print(asked)
"""
"""A shell as people use it: one connection to the file of views, held open all the time."""


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
@pytest.mark.usefixtures("without_plots")
def test_eight_windows_at_once_under_the_eyes_of_a_reader(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", SETTINGS)
    homes.run(home, [FIRST])
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(home.catalogue), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _run_at_once(home)
    finally:
        stop.touch()
        told, wrong = reader.communicate(timeout=60)
    assert reader.returncode == 0, wrong
    assert int(told) > 50

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
