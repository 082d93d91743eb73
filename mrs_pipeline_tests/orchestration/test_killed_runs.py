"""Runs killed without warning: the next one completes, with the results of a run that nobody disturbed."""

import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from mrs_pipeline.stages.nodes import is_current, record
from mrs_pipeline.stages.plan import plan
from mrs_pipeline.storage.home import Home
from mrs_pipeline.training.checkpoint import CheckpointFile, RunState
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import HISTORY, WINDOW
from mrs_pipeline_tests.stages.working import perform

SETTINGS = {
    **homes.BARE,
    "models": {"most_pop": None, "bpr_mf": None},
    "training": {"epochs": 400, "patience": 400, "checkpoint_every": 1},
}
"""Training takes some seconds, and may be interrupted after each epoch."""


def _kill_when(home: Home, reached: Callable[[], bool]) -> None:
    """Start a run, and kill it (SIGKILL) at the moment when something can be seen on the disk."""
    worker = homes.process(home, WINDOW)
    worker.start()
    give_up = time.time() + 300
    while not reached():
        assert worker.is_alive(), "the run ended before it could be killed"
        assert time.time() < give_up
        time.sleep(0.002)
    worker.kill()
    worker.join()
    assert worker.exitcode == -9


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_a_run_killed_in_ingestion_and_again_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes.make(tmp_path / "home", SETTINGS)
    stage = homes.stage_of(home)
    raw = [stage.table("raw", "interactions", window=window) for window in (*HISTORY, WINDOW)]

    _kill_when(home, lambda: stage.lake.exists(raw[1]))
    assert not stage.lake.exists(raw[-1])

    checkpoint = home.models / "tiny" / WINDOW / "bpr_mf" / "resume" / "seed=1" / "checkpoint.safetensors"
    _kill_when(home, checkpoint.exists)
    assert all(stage.lake.exists(table) for table in raw)
    assert not stage.models.exists("tiny", WINDOW, "bpr_mf")

    resumed: list[RunState | None] = []
    read = CheckpointFile.read
    monkeypatch.setattr(
        CheckpointFile, "read", lambda self, device: resumed.append(read(self, device)) or resumed[-1]
    )
    homes.run(home)
    assert [state is not None and len(state.facts["history"]) > 0 for state in resumed] == [True]
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        states = [run.status.value for run in instance.get_runs()]
    assert states == [
        "SUCCESS",
        "FAILURE",
        "SUCCESS",
        "FAILURE",
    ]  # the latest first; none seems to go on for ever
    assert [task.name for task in plan(stage.config) if task.windowed and not is_current(stage, task)] == []
    assert not checkpoint.exists()
    assert not list(home.root.rglob(".partial"))
    assert not list(home.lake.rglob(".*.parquet"))

    undisturbed = homes.stage_of(homes.make(tmp_path / "undisturbed", SETTINGS))
    perform(undisturbed)
    nodes = [f"raw/interactions@{window}" for window in (*HISTORY, WINDOW)]
    nodes += ["core/interactions", "core/splits", "trained/bpr_mf", "recommendations/bpr_mf"]
    for node in nodes:
        assert record(stage, node)[0] == record(undisturbed, node)[0], node
    metrics, expected = (
        each.lake.read(each.table("eval", "metrics", model="bpr_mf")).drop(
            "seconds_evaluation", "code_digest"
        )
        for each in (stage, undisturbed)
    )
    assert metrics.equals(expected)
