"""Runs killed without warning: the next one completes, with the results of a run that nobody disturbed."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mrs_pipeline.orchestration import assets
from mrs_pipeline.orchestration.executing import RunFailedError
from mrs_pipeline.plan import plan
from mrs_pipeline.stages import train as trained
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks import lineage
from mrs_pipeline.tasks.currency import is_current
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.training.checkpoint import CheckpointFile, RunState
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import HISTORY, WINDOW
from mrs_pipeline_tests.stages.working import perform

SETTINGS = {
    **homes.BARE,
    "models": {"most_pop": None, "bpr_mf": None},
    "training": {"epochs": 8, "patience": 8, "checkpoint_every": 1},
}
"""Training may be interrupted after each epoch."""


def _run_that_dies(home: Home, dies_after: str) -> None:
    """Start a run in a process of its own that is killed (SIGKILL) at that moment of its work."""
    worker = homes.process(home, WINDOW, dies_after=dies_after)
    worker.start()
    worker.join()
    assert worker.exitcode == -9


@pytest.mark.slow
def test_a_run_killed_in_ingestion_and_again_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes.make(tmp_path / "home", SETTINGS)
    stage = homes.stage_of(home)
    raw = [stage.table("raw", "interactions", window=window) for window in (*HISTORY, WINDOW)]

    _run_that_dies(home, f"raw/interactions@{HISTORY[1]}")
    assert [stage.lake.exists(table) for table in raw] == [True, True, False, False, False, False]

    checkpoint = home.models / "tiny" / WINDOW / "bpr_mf" / "resume" / "seed=1" / "checkpoint.safetensors"
    _run_that_dies(home, "checkpoint/bpr_mf")
    assert checkpoint.exists()
    assert all(stage.lake.exists(table) for table in raw)
    assert not stage.models.exists("tiny", WINDOW, "bpr_mf")

    resumed: list[RunState | None] = []
    read = CheckpointFile.read
    monkeypatch.setattr(
        CheckpointFile, "read", lambda self, device: resumed.append(read(self, device)) or resumed[-1]
    )
    homes.run(home)
    assert [state is not None and len(state.facts["history"]) > 0 for state in resumed] == [
        True,  # bpr_mf goes on
        False,  # its training on all of the history begins
    ]
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
        assert record(stage, Node.parse(node))[0] == record(undisturbed, Node.parse(node))[0], node
    metrics, expected = (
        each.lake.read(each.table("eval", "metrics", model="bpr_mf")).drop(
            "seconds_evaluation", "code_digest"
        )
        for each in (stage, undisturbed)
    )
    assert metrics.equals(expected)


def _told(home: Home, asset: str) -> dict[str, dict[str, str]]:
    """Data version -> inputs of every row that lineage has of an asset at the window."""
    rows = query(
        home,
        f"""
        SELECT m.data_version, e.upstream, e.upstream_version
        FROM lineage.materializations AS m LEFT JOIN lineage.edges AS e USING (dataset, "window", run, asset)
        WHERE asset = '{asset}' AND "window" = '{WINDOW}'
        """,
    )
    told: dict[str, dict[str, str]] = {}
    for version, name, digest in rows.iter_rows():
        told.setdefault(version, {})[name] = digest
    return told


def _is_told(stage: Stage, asset: str) -> bool:
    """Whether lineage has the asset as it is stored, with all that it was made from."""
    digest, provenance = record(stage, Node.parse(asset))
    return _told(stage.home, asset).get(digest) == dict(provenance.upstream)


def _trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are trained from now on."""
    fit, names = trained.fit, []

    def noted(data: Any, name: str, *args: Any, **more: Any) -> Any:
        names.append(name)
        return fit(data, name, *args, **more)

    monkeypatch.setattr(trained, "fit", noted)
    return names


@pytest.mark.slow
def test_a_run_killed_between_a_training_and_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are stored, their origin is not: the next run records it and trains nothing again."""
    settings = {**SETTINGS, "training": {"epochs": 3, "patience": 3}}
    home = homes.make(tmp_path / "home", settings)
    _run_that_dies(home, "trained/bpr_mf")
    stage = homes.stage_of(home)
    weights = stage.models.read("tiny", WINDOW, "bpr_mf")
    assert _told(home, "trained/bpr_mf") == {}

    fitted = _trainings(monkeypatch)
    homes.run(home)
    assert "bpr_mf" not in fitted
    assert stage.models.read("tiny", WINDOW, "bpr_mf") == weights
    assert _told(home, "trained/bpr_mf") == {weights.digest: dict(weights.provenance.upstream)}
    assert "made by a run that was killed" in _shown(home, "trained/bpr_mf")
    for asset in ("recommendations/bpr_mf", "metrics/bpr_mf", "trained/most_pop", "core/splits"):
        assert _is_told(stage, asset), asset
    assert homes.run(home)[-1].endswith("0 of 17 steps are due")

    homes.run(home, force=True)
    assert fitted.count("bpr_mf") == 1


def _shown(home: Home, output: str) -> str:
    """What Dagster shows of the latest making of an output."""
    with homes.entered(home), dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(homes.key(output))
    assert event is not None and event.asset_materialization is not None
    return str(event.asset_materialization.metadata["taken over"].value)


def _fail() -> None:
    raise OSError("planted")


@pytest.mark.parametrize(
    ("task", "changed"),
    [
        ("graphs/text_tfidf_svd", {"item_graph_k": 12}),  # nothing checks a graph
        ("core/splits", {"split": {"valid": 0.2}}),
        ("metrics/ease", {"evaluation": {"ks": [20, 30]}}),
    ],
)
def test_what_was_made_and_not_recorded_is_recorded_by_the_next_run(
    home: Home, monkeypatch: pytest.MonkeyPatch, task: str, changed: dict[str, Any]
) -> None:
    homes.describe(home.root, {**homes.TINY, **changed})
    stage = homes.stage_of(home)
    chosen = ["ease", "freedom"]
    with monkeypatch.context() as patch:
        patch.setattr(assets, "record_outcomes", homes.unrecorded(task, _fail))
        with pytest.raises(RunFailedError, match="planted"):
            homes.run(home, models=chosen)
    assert is_current(stage, homes.task_of(stage, task))
    assert not _is_told(stage, task)
    homes.run(home, models=chosen)
    assert _is_told(stage, task)


@pytest.mark.parametrize("table", ["edges", "columns", "materializations"])
def test_a_record_that_was_cut_off_is_written_again(
    home: Home, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    homes.describe(home.root, {**homes.TINY, "evaluation": {"ks": [20, 30]}})
    append = lineage._append

    def cut_off(stage: Stage, name: str, task: str, *more: Any) -> None:
        if (name, task) == (table, "metrics/ease"):
            _fail()
        append(stage, name, task, *more)

    with monkeypatch.context() as patch:
        patch.setattr(lineage, "_append", cut_off)
        with pytest.raises(RunFailedError, match="planted"):
            homes.run(home, models=["ease"])
    stage = homes.stage_of(home)
    assert not _is_told(stage, "metrics/ease")
    homes.run(home, models=["ease"])
    assert _is_told(stage, "metrics/ease")


@pytest.mark.parametrize("times", [2, 3])
def test_a_fault_of_the_network_is_tried_again_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    homes.describe(home.root, {**homes.TINY, "evaluation": {"ks": [20, 30]}})
    left = iter([True] * times)
    run = assets._run

    def cut(stage: Stage, task: Any) -> Any:
        if task.name == "metrics/ease" and next(left, False):
            raise ConnectionResetError("the cable")
        return run(stage, task)

    monkeypatch.setattr(assets, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(assets, "_run", cut)
    if times > assets.RETRIES:
        with pytest.raises(RunFailedError, match="the cable"):
            homes.run(home, models=["ease"])
        return
    homes.run(home, models=["ease"])
    assert _is_told(homes.stage_of(home), "metrics/ease")
