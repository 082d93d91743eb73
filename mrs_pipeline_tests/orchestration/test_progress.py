"""How far a run is: counted, estimated by earlier runs, with bars where somebody watches."""

import logging
import os
import sys
import termios
from pathlib import Path

import dagster as dg
import pytest
from tqdm import tqdm

from mrs_pipeline.orchestration.executing import cancel_run
from mrs_pipeline.orchestration.progress import SECONDS_FACT, Progress, counting_steps, on_terminal
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes


def test_what_is_left_is_what_earlier_runs_took() -> None:
    progress = Progress({"a": 2.0, "b": 100.0, "c": 50.0, "new": None})
    progress.begin("a")
    assert progress.line() == "step 1 of 4, about 3 min left"
    progress.begin("b")
    assert progress.line() == "step 2 of 4, took 2 min last time, about 2 min left"
    progress.begin("new")
    assert progress.line() == "step 3 of 4, about 50 s left"
    progress.begin("c")
    assert progress.line() == "step 4 of 4, took 50 s last time"


def test_a_first_run_estimates_nothing() -> None:
    progress = Progress({"a": None, "b": None})
    progress.begin("a")
    assert progress.line() == "step 1 of 2"


def _drawn(stream: int, reader: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What reaches the other end of stderr from a bar inside a step, while Dagster has put a file in its place."""
    with os.fdopen(stream, "w") as stderr, (tmp_path / "log").open("w") as captured:
        monkeypatch.setattr(sys, "stderr", stderr)
        with counting_steps(Progress({})):
            monkeypatch.setattr(sys, "stderr", captured)
            with on_terminal():
                for _ in tqdm(range(3), desc="epochs", disable=None):
                    pass
            assert sys.stderr is captured
        stderr.write("end")
        stderr.flush()
        told = ""
        while not told.endswith("end"):
            told += os.read(reader, 4096).decode()
        return told


def test_bars_are_drawn_on_a_terminal_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    assert "epochs: 100%" in _drawn(slave, master, monkeypatch, tmp_path)
    reader, writer = os.pipe()
    assert _drawn(writer, reader, monkeypatch, tmp_path) == "end"
    assert (tmp_path / "log").read_text() == ""


def test_steps_are_counted_and_runs_are_found_under_their_job(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    homes.describe(home.root, {**homes.TINY, "evaluation": {"ks": [20, 30]}})
    with caplog.at_level(logging.INFO, logger="mrs_pipeline"):
        lines = homes.run(home, models=["most_pop"])
    assert "steps are due" in lines[-1]
    starts = [line for line in caplog.messages if ": step 1 of " in line]
    assert starts == [f"tiny {homes.WINDOW} metrics/most_pop: {starts[0].partition(': ')[2]}"]
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(limit=1)
        assert run.job_name == "tiny_pipeline"
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.location_name == "mrs_pipeline"
        listed = {".dagster/repository": "__repository__@mrs_pipeline"}
        assert run.run_id in [each.run_id for each in instance.get_runs(dg.RunsFilter(tags=listed))]
        event = instance.get_latest_materialization_event(homes.key("metrics/most_pop"))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.metadata[SECONDS_FACT].value > 0


def test_nothing_is_cancelled_where_nothing_runs() -> None:
    cancel_run()
