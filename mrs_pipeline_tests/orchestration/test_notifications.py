"""A bad file, a failed check and a failed run reach somebody, once each, however they come about."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster._utils import get_run_crash_explanation

from mrs_pipeline.errors import MrsError
from mrs_pipeline.orchestration.launch import default_windows
from mrs_pipeline.orchestration.notifications import failure_sensors
from mrs_pipeline.orchestration.project import load_project
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.mailbox import VARIABLE, Mailbox, opened

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

SHOP: Mapping[str, Any] = {
    "name": "shop",
    "source": {"path": "shop"},
    "window": {"every": "month", "start": "2024-01", "end": "2024-06", "score_from": "2024-02"},
    "models": {"most_pop": None},
    "automation": {"settle_seconds": 0},
}


@pytest.fixture
def shop(tmp_path: Path) -> Home:
    home = homes.make(tmp_path / "home", SHOP)
    for month in (1, 2, 3):
        _land(home, month)
    return home


@pytest.fixture
def mailbox(shop: Home) -> Iterator[Mailbox]:
    with opened(shop.root) as found:
        yield found


def _land(home: Home, month: int) -> Path:
    path = home.root / "shop" / "interactions" / f"2024-0{month}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"u{n},i{n},2024-0{month}-{5 + n:02}" for n in range(3)]
    path.write_text("\n".join(["user_id,item_id,timestamp", *rows, ""]))
    return path


def _look(home: Home, repository: dg.RepositoryDefinition, cursor: str | None) -> Any:
    with homes.entered(home), dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(cursor=cursor, repository_def=repository, instance=instance)
        return repository.get_sensor_def("shop_watch").evaluate_tick(context)


def _tell_of_failure(home: Home, instance: dg.DagsterInstance, job: dg.JobDefinition, run: str) -> None:
    """What the daemon does when a run has failed."""
    (sensor,) = failure_sensors(home)
    found = instance.get_run_by_id(run)
    event = instance.all_logs(run, of_type=dg.DagsterEventType.RUN_FAILURE)[0].dagster_event
    assert found is not None and event is not None
    context = dg.build_run_status_sensor_context("notify_failures", event, instance, found)
    sensor(context.for_run_failure())


@pytest.mark.slow
def test_a_bad_file_is_told_once_while_the_other_windows_run(shop: Home, mailbox: Mailbox) -> None:
    repository = homes.load(shop).definitions.get_repository_def()
    job = repository.get_job("shop_ingest")
    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, partition_key="2024-02").success
    first = _look(shop, repository, None)
    assert mailbox.messages == []
    (shop.root / "shop" / "interactions" / "2024-02.csv").write_bytes(b"PAR1 cut off\n")
    _land(shop, 4)
    second = _look(shop, repository, first.cursor)
    (message,) = mailbox.messages
    assert message["title"] == "shop: a file cannot be read"
    assert "interactions/2024-02.csv" in message["message"]

    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        for request in second.run_requests:
            window = request.tags["dagster/partition"]
            ran = job.execute_in_process(instance=instance, partition_key=window, raise_on_error=False)
            assert ran.success == (window != "2024-02"), (
                "its rows of before are still there for later windows"
            )
            if not ran.success:
                _tell_of_failure(shop, instance, job, ran.run_id)
    assert {request.tags["dagster/partition"] for request in second.run_requests} >= {"2024-02", "2024-04"}
    assert len(mailbox.messages) == 1, "sensor, check and failed run met one cause"

    _land(shop, 2)
    third = _look(shop, repository, second.cursor)
    (shop.root / "shop" / "interactions" / "2024-02.csv").write_bytes(b"PAR1 cut off\n")
    _look(shop, repository, third.cursor)
    assert len(mailbox.messages) == 2, "mended and bad again is news"


def test_a_failed_run_of_the_command_line_is_told_by_its_own_sentence(shop: Home, mailbox: Mailbox) -> None:
    path = shop.root / "shop" / "interactions" / "2024-02.csv"
    path.write_text("user_id,item_id,timestamp\nu1,i1,never\n")
    with pytest.raises(MrsError) as failed:
        homes.run(shop, ["2024-03"], dataset="shop")
    with pytest.raises(MrsError):
        homes.run(shop, ["2024-03"], dataset="shop")
    (message,) = mailbox.messages
    assert message["title"] == "shop: `mrs run` failed"
    assert message["message"] == str(failed.value) and "2024-02.csv" in message["message"]


def test_a_source_that_cannot_be_read_while_a_window_is_chosen_is_told_too(
    shop: Home, mailbox: Mailbox
) -> None:
    (shop.root / "shop" / "interactions" / "2024-02.csv").write_bytes(b"\xff\xfe\x00\xd8" * 9)
    with pytest.raises(MrsError):
        default_windows(load_project(shop), "shop")
    (message,) = mailbox.messages
    assert "2024-02.csv" in message["message"]


def test_nobody_reachable_fails_nothing(
    shop: Home, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "json://127.0.0.1:9")
    bad = shop.root / "shop" / "interactions" / "2024-02.csv"
    bad.write_bytes(b"")
    found = _look(shop, homes.load(shop).definitions.get_repository_def(), None)
    assert [event.passed for event in found.asset_events] == [False]
    assert len(found.run_requests) == 2 and mailbox.messages == []


def test_the_failure_sensor_is_there_where_somebody_wants_to_hear(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert failure_sensors(home) == []
    with opened(tmp_path, events=["promotion"]):
        assert failure_sensors(home) == []
    with opened(tmp_path, events=["failure"]):
        (sensor,) = failure_sensors(home)
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


@pytest.mark.parametrize("retries", ["0", "2"])
def test_a_killed_process_is_told_by_its_signal_and_by_what_follows(
    shop: Home, mailbox: Mailbox, retries: str
) -> None:
    job = homes.load(shop).definitions.get_repository_def().get_job("shop_ingest")
    with homes.entered(shop), dg.DagsterInstance.get() as instance:
        tags = {"dagster/max_retries": retries, "dagster/partition": "2024-02"}
        run = create_run_for_test(instance, "shop_ingest", tags=tags)
        sentence = get_run_crash_explanation(f"Run execution process for {run.run_id}", -9)
        instance.report_engine_event(sentence, run)  # as the code server does
        instance.report_run_failed(run)
        _tell_of_failure(shop, instance, job, run.run_id)
    (message,) = mailbox.messages
    assert message["title"] == "shop_ingest failed at window 2024-02"
    assert message["message"].startswith(
        "the process of shop_ingest was terminated by signal 9 (SIGKILL) (run "
    )
    assert ("The daemon starts it again" in message["message"]) is (retries == "2")
