"""OpenLineage events of a run: in a file, over HTTP, to an address where nobody is."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from mrs_pipeline.orchestration import lineage_events
from mrs_pipeline.orchestration.lineage_events import told
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.places import record
from mrs_pipeline.tasks.task import Outcome, Stage
from mrs_pipeline_tests.orchestration import homes

pytest.importorskip("openlineage.client")


@pytest.fixture(autouse=True)
def _new_process() -> None:
    lineage_events._client.cache_clear()
    lineage_events._told.clear()


def _set_up(home: Home, **transport: Any) -> None:
    (home.root / "openlineage.yml").write_text(yaml.safe_dump({"transport": transport}))


def _events(home: Home, **changed: Any) -> list[dict[str, Any]]:
    """What is told of a run of one model."""
    path = home.root / "events.jsonl"
    _set_up(home, type="file", log_file_path=str(path), append=True)
    homes.describe(home.root, {**homes.TINY, **changed})
    homes.run(home, models=["most_pop"])
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_told_with_digests_columns_and_origins(home: Home) -> None:
    events = _events(home, evaluation={"ks": [20, 30]})
    ended = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    assert {"metrics/most_pop", "eval/leaderboard"} <= set(ended)
    assert [each["eventType"] for each in events[:2]] == ["START", "COMPLETE"]
    metrics = ended["metrics/most_pop"]
    assert metrics["job"]["namespace"] == "mrs_pipeline.tiny"
    assert metrics["run"]["facets"]["parent"]["job"]["name"] == "tiny_pipeline"
    stage = homes.stage_of(home)
    task = homes.task_of(stage, "metrics/most_pop")
    digest, provenance = record(stage, task.outputs[0])
    (made,) = metrics["outputs"]
    assert made["name"] == f"metrics/most_pop@{homes.WINDOW}"
    assert made["facets"]["version"]["datasetVersion"] == digest
    assert {field["name"] for field in made["facets"]["schema"]["fields"]} >= {"metric", "k", "value"}
    read = {each["name"]: each["facets"]["version"]["datasetVersion"] for each in metrics["inputs"]}
    assert read == {f"{name}@{homes.WINDOW}": version for name, version in provenance.upstream.items()}
    assert "columnLineage" in made["facets"]


def _step(home: Home, fails: bool) -> None:
    stage: Stage = homes.stage_of(home)
    task = homes.task_of(stage, "core/splits")
    with told(stage, task, "0b6c2e0e-5c3c-4d3c-9a38-8a0a3c8f6a11", "tiny_pipeline") as events:
        if fails:
            raise ValueError("planted")
        events.made([Outcome(task.outputs[0], "digest")], {"core/interactions": "other"})


def test_a_step_that_fails_is_told_as_failed(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    path = home.root / "events.jsonl"
    _set_up(home, type="file", log_file_path=str(path), append=True)
    with pytest.raises(ValueError, match="planted"):
        _step(home, fails=True)
    start, end = (json.loads(line) for line in path.read_text().splitlines())
    assert (start["eventType"], end["eventType"]) == ("START", "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"] == "planted"
    assert start["run"]["runId"] == end["run"]["runId"]


def test_nobody_at_the_address_is_one_warning_and_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    _set_up(home, type="http", url="http://127.0.0.1:9", timeout=1, retry={"total": 0})
    with caplog.at_level(logging.WARNING, logger="mrs_pipeline"):
        _step(home, fails=False)
        _step(home, fails=False)
    warnings = [each for each in caplog.messages if each.startswith("OpenLineage could not be told")]
    assert len(warnings) == len(set(warnings)) >= 1


def test_without_an_address_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    _step(home, fails=False)
    assert caplog.messages == []
    _set_up(home, type="pigeon")
    lineage_events._client.cache_clear()
    _step(home, fails=False)
    assert "OpenLineage cannot be used as it is set up" in caplog.text
