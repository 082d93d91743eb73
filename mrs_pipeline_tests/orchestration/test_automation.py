"""Schedule and sensor, evaluated as the daemon evaluates them: what they request, and when they keep still."""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry

from mrs_pipeline.orchestration.automation import ALSO_FAILED_STEPS_TAG, IN_ORDER, RETRIES_TAG
from mrs_pipeline.storage.digests import file_digest
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks import seen_files, source_files
from mrs_pipeline.tasks.node import CORE, SPLITS
from mrs_pipeline_tests.orchestration import homes

pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* materializes assets")

SHOP: Mapping[str, Any] = {
    "name": "shop",
    "source": {"path": "shop"},
    "window": {"every": "month", "start": "2024-01", "end": "2024-06", "score_from": "2024-02"},
    "models": {"most_pop": None},
    "automation": {"settle_seconds": 0},
}


def _land(home: Home, name: str, *days: str) -> Path:
    """A file of interactions, one on each day."""
    path = home.root / "shop" / "interactions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {"user_id": ["u1"] * len(days), "item_id": [f"i{n}" for n in range(len(days))], "timestamp": days}
    frame = pl.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.with_columns(pl.col("timestamp").str.to_datetime("%Y-%m-%d")).write_parquet(path)
    else:
        frame.write_csv(path)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Home:
    """A shop whose logs land month by month."""
    home = homes.make(tmp_path / "home", SHOP)
    for month in (1, 2, 3):
        _land(home, f"2024-0{month}.csv", f"2024-0{month}-05", f"2024-0{month}-20")
    return home


class Daemon:
    """Evaluates one dataset's schedule and sensor, and keeps the sensor's cursor, as Dagster's daemon does."""

    def __init__(self, home: Home, dataset: str) -> None:
        self.home = home
        self.repository = homes.load(home).definitions.get_repository_def()
        self.dataset = dataset
        self.cursor: str | None = None

    def tick(self, moment: datetime) -> Any:
        context = dg.build_schedule_context(scheduled_execution_time=moment, repository_def=self.repository)
        return self.repository.get_schedule_def(f"{self.dataset}_retrain").evaluate_tick(context)

    def look(self) -> Any:
        with homes.entered(self.home):
            context = dg.build_sensor_context(
                cursor=self.cursor,
                repository_def=self.repository,
                instance=dg.DagsterInstance.ephemeral(),
                sensor_name=f"{self.dataset}_watch",
            )
            found = self.repository.get_sensor_def(f"{self.dataset}_watch").evaluate_tick(context)
        self.cursor = found.cursor or self.cursor
        return found


def _asked(tick: Any) -> list[tuple[str, str]]:
    """(job, window) of each request, in order."""
    return [
        (request.job_name or "", request.tags.get("dagster/partition", "")) for request in tick.run_requests
    ]


def _windows(tick: Any) -> list[str]:
    return [window for _, window in _asked(tick)]


@pytest.mark.parametrize(
    ("every", "start", "moment", "windows"),
    [
        ("month", "2024-01", datetime(2024, 8, 1), ["2024-07", "2024-08"]),
        ("day", "2024-01-01", datetime(2024, 3, 1), ["2024-02-29", "2024-03-01"]),
        ("week", "2024-01-01", datetime(2024, 1, 29), ["2024-01-22", "2024-01-29"]),
        ("year", "2019", datetime(2024, 1, 1), ["2023", "2024"]),
        ("month", "2024-07", datetime(2024, 8, 1), ["2024-08"]),  # the first window has no history
    ],
)
def test_the_schedule_asks_for_the_closed_and_the_open_window(
    tmp_path: Path, every: str, start: str, moment: datetime, windows: Sequence[str]
) -> None:
    home = homes.make(tmp_path / "home", {**homes.BARE, "window": {"every": every, "start": start}})
    asked = Daemon(home, "tiny").tick(moment.replace(tzinfo=UTC))
    assert _windows(asked) == windows
    assert [request.run_key for request in asked.run_requests] == [
        f"{window}@{moment:%Y-%m-%d}" for window in windows
    ]
    assert all(request.tags[IN_ORDER] == "tiny" for request in asked.run_requests)


def test_the_schedule_keeps_still_before_there_is_history(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", {**homes.BARE, "window": {"every": "month", "start": "2024-08"}})
    asked = Daemon(home, "tiny").tick(datetime(2024, 8, 1, tzinfo=UTC))
    assert not asked.run_requests
    assert "no window with history" in asked.skip_message


def test_the_schedule_fires_when_a_window_begins(tmp_path: Path) -> None:
    home = homes.make(tmp_path / "home", homes.BARE)
    schedule = Daemon(home, "tiny").repository.get_schedule_def("tiny_retrain")
    assert schedule.cron_schedule == "0 0 1 * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.job_name == "tiny_pipeline"


@pytest.mark.parametrize(
    ("automation", "schedule", "sensor"),
    [
        ({}, "STOPPED", "STOPPED"),
        ({"retrain": True}, "RUNNING", "STOPPED"),
        ({"watch": True}, "STOPPED", "RUNNING"),
    ],
)
def test_they_run_only_where_the_yaml_says_so(
    tmp_path: Path, automation: Mapping[str, bool], schedule: str, sensor: str
) -> None:
    home = homes.make(tmp_path / "home", {**homes.BARE, "automation": dict(automation)})
    repository = Daemon(home, "tiny").repository
    assert repository.get_schedule_def("tiny_retrain").default_status.name == schedule
    assert repository.get_sensor_def("tiny_watch").default_status.name == sensor


def test_the_first_look_asks_for_every_window_in_order(shop: Home) -> None:
    """The window before `score_from` is read by the first that is scored."""
    asked = Daemon(shop, "shop").look()
    assert _asked(asked) == [("shop_pipeline", "2024-02"), ("shop_pipeline", "2024-03")]
    assert all(request.tags[IN_ORDER] == "shop" for request in asked.run_requests)


def test_what_was_read_before_the_first_look_is_not_asked_for(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        job = daemon.repository.get_job("shop_ingest")
        assert job.execute_in_process(instance=instance, partition_key="2024-02").success
    assert _windows(daemon.look()) == ["2024-03"]


def test_a_second_look_finds_nothing_new(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    daemon.look()
    cursor = daemon.cursor
    again = daemon.look()
    assert not again.run_requests
    assert again.skip_message == "no new or changed file"
    assert daemon.cursor == cursor


@pytest.mark.parametrize(
    ("name", "days", "windows"),
    [
        ("2024-04.csv", ["2024-04-02"], ["2024-04"]),
        ("april.parquet", ["2024-04-02", "2024-04-03"], ["2024-04"]),
        (
            "late.csv",
            ["2024-02-03", "2024-05-30"],
            ["2024-02", "2024-04", "2024-05"],
        ),  # April is history
        (
            "old.csv",
            ["2023-11-11"],
            ["2024-02"],
        ),  # what is older belongs to the first window, which is history
        ("future.csv", ["2024-09-09"], ["2024-02"]),  # so does what is after the last window
    ],
)
def test_a_landed_file_asks_for_its_windows(
    shop: Home, name: str, days: Sequence[str], windows: Sequence[str]
) -> None:
    daemon = Daemon(shop, "shop")
    daemon.look()
    _land(shop, name, *days)
    assert _windows(daemon.look()) == windows
    assert not daemon.look().run_requests


def test_a_changed_file_asks_for_its_window_again_with_another_key(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    first = {request.run_key for request in daemon.look().run_requests}
    path = _land(shop, "2024-03.csv", "2024-03-05", "2024-03-20", "2024-03-21")
    changed = daemon.look()
    assert _windows(changed) == ["2024-03"]
    assert changed.run_requests[0].run_key not in first
    os.utime(path, ns=(0, 0))  # written again with the same content
    assert _windows(daemon.look()) == []


def test_rows_wait_for_the_first_window_that_has_history(shop: Home) -> None:
    """A shop that has opened this month: nothing can be run yet, and nothing is forgotten."""
    month = f"{datetime.now(UTC):%Y-%m}"
    homes.describe(shop.root, {**SHOP, "window": {"every": "month", "start": month}})
    daemon = Daemon(shop, "shop")
    for _ in range(2):
        waits = daemon.look()
        assert not waits.run_requests
        assert waits.skip_message.startswith("read when 2")
        assert waits.skip_message.endswith(f"begins: {month}")
        assert "asked" not in (daemon.cursor or "")


def test_two_files_that_land_together(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    daemon.look()
    _land(shop, "a.csv", "2024-05-01")
    _land(shop, "b.csv", "2024-04-01")
    asked = daemon.look()
    assert _windows(asked) == ["2024-04", "2024-05"]
    assert len({request.run_key for request in asked.run_requests}) == 2


def test_a_file_still_being_written_is_not_looked_at(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    daemon.look()
    _land(shop, ".2024-04.csv", "2024-04-02")
    assert not daemon.look().run_requests


def test_a_dataset_without_windows_is_run_as_a_whole(shop: Home) -> None:
    homes.describe(shop.root, {**SHOP, "window": {"every": "none"}})
    daemon = Daemon(shop, "shop")
    asked = daemon.look()
    assert _asked(asked) == [("shop_pipeline", "")]
    _land(shop, "more.csv", "2024-04-02")
    assert len(daemon.look().run_requests) == 1


def test_what_the_sensor_asks_for_can_be_run(shop: Home) -> None:
    """The requests of a first look, executed in order: raw windows, then the first that is scored up to its split."""
    daemon = Daemon(shop, "shop")
    _land(shop, "shared.csv", *[f"2024-0{month}-1{day}" for month in (1, 2, 3) for day in range(5)])
    asked = daemon.look()
    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        for request in asked.run_requests:
            chosen = ["raw/interactions", "raw/items"]
            if request.job_name == "shop_pipeline":
                chosen += [str(output) for output in (*CORE, SPLITS)]
            result = daemon.repository.get_job(request.job_name).execute_in_process(
                instance=instance,
                partition_key=request.tags["dagster/partition"],
                asset_selection=[homes.key(output, "shop") for output in chosen],
            )
            assert result.success
        made = instance.get_materialized_partitions(homes.key("raw/interactions", "shop"))
    assert made == {"2024-02", "2024-03"}
    assert (shop.lake / "raw/interactions/dataset=shop/window=2024-01/part.parquet").exists()


def test_the_settings_say_how_often_the_sensor_looks(shop: Home) -> None:
    assert Daemon(shop, "shop").repository.get_sensor_def("shop_watch").minimum_interval_seconds == 60
    homes.describe(shop.root, {**SHOP, "automation": {"watch_seconds": 7}})
    assert Daemon(shop, "shop").repository.get_sensor_def("shop_watch").minimum_interval_seconds == 7


@pytest.mark.parametrize(
    ("reason", "tags", "again"),
    [
        (RunFailureReason.UNEXPECTED_TERMINATION, {}, False),  # of the UI or `mrs run`: somebody sees it
        (RunFailureReason.UNEXPECTED_TERMINATION, None, True),
        (RunFailureReason.STEP_FAILURE, None, False),  # says what must be mended
    ],
)
def test_automated_runs_are_started_again_where_their_process_was_killed(
    shop: Home, reason: RunFailureReason, tags: Mapping[str, str] | None, again: bool
) -> None:
    asked = Daemon(shop, "shop").look().run_requests[0].tags if tags is None else tags
    assert tags is not None or (asked[RETRIES_TAG], asked[ALSO_FAILED_STEPS_TAG]) == ("2", "false")
    with homes.entered(shop), dg.DagsterInstance.get() as instance:
        run = create_run_for_test(instance, "shop_ingest", tags=dict(asked))
        instance.report_run_failed(run, job_failure_data=JobFailureData(None, reason))
        failed = instance.get_run_by_id(run.run_id)
        assert failed is not None
        assert should_retry(failed, instance) is again


def test_automated_runs_of_a_dataset_wait_for_each_other(shop: Home) -> None:
    """The instance's queue lets one run a dataset go: a window is not trained while its history is being read."""
    with homes.entered(shop), dg.DagsterInstance.get() as instance:
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
    assert limits == [{"key": IN_ORDER, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}]


def _settling(shop: Home, seconds: float = 30) -> Daemon:
    homes.describe(shop.root, {**SHOP, "automation": {"settle_seconds": seconds}})
    return Daemon(shop, "shop")


def _aged(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_file_counts_once_it_has_settled(shop: Home) -> None:
    daemon = _settling(shop)
    for path in (shop.root / "shop" / "interactions").iterdir():
        _aged(path, 100)
    assert _windows(daemon.look()) == ["2024-02", "2024-03"]
    path = _land(shop, "2024-04.csv", "2024-04-02")
    waits = daemon.look()
    assert not waits.run_requests
    assert waits.skip_message == "still being written: source/interactions/2024-04.csv"
    _aged(path, 100)
    assert _windows(daemon.look()) == ["2024-04"]


def test_a_last_line_without_an_end_waits_longer(shop: Home) -> None:
    daemon = _settling(shop)
    daemon.look()
    path = _land(shop, "2024-04.csv", "2024-04-02")
    with path.open("a") as stream:
        stream.write("u1,i1,2024")  # of 2024-05-15; alone it is a moment in 1970
    _aged(path, 40)
    assert not _windows(daemon.look())
    with path.open("a") as stream:
        stream.write("-05-15")
    _aged(path, 70)
    assert _windows(daemon.look())[-2:] == ["2024-04", "2024-05"]


def test_a_file_that_moves_to_other_windows_asks_for_the_old_and_the_new(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    _ingest(shop, daemon, "2024-02", "2024-03")
    daemon.look()
    _land(shop, "2024-02.csv", "2024-03-07")
    assert _windows(daemon.look()) == ["2024-02", "2024-03"]


@pytest.mark.parametrize("how", ["deleted", "renamed", "a row less"])
def test_what_goes_is_a_change(shop: Home, how: str) -> None:
    daemon = Daemon(shop, "shop")
    _ingest(shop, daemon, "2024-02", "2024-03")
    assert not daemon.look().run_requests
    path = shop.root / "shop" / "interactions" / "2024-02.csv"
    if how == "deleted":
        path.unlink()
    elif how == "renamed":
        path.rename(path.with_name("february.csv"))
    else:
        _land(shop, path.name, "2024-02-05")
    asked = daemon.look()
    assert _windows(asked) == ["2024-02"]
    _ingest(shop, daemon, "2024-02")
    assert not daemon.look().run_requests
    found = pl.read_parquet(shop.lake / "raw/interactions/dataset=shop/window=2024-02/part.parquet")
    assert found.height == {"deleted": 0, "renamed": 2, "a row less": 1}[how]


def test_a_catalogue_that_changes_asks_for_what_was_made_with_it(shop: Home) -> None:
    items = shop.root / "shop" / "items.csv"
    items.write_text("item_id,title\ni0,one\ni1,two\n")
    daemon = Daemon(shop, "shop")
    _ingest(shop, daemon, "2024-02", "2024-03")
    assert not daemon.look().run_requests
    items.write_text("item_id,title\ni0,one\ni1,three\n")
    assert _asked(daemon.look()) == [("shop_pipeline", "2024-02"), ("shop_pipeline", "2024-03")]
    assert not daemon.look().run_requests
    images = shop.root / "shop" / "images"
    images.mkdir()
    (images / "i0.png").write_bytes(b"a picture")
    assert _windows(daemon.look()) == ["2024-02", "2024-03"]


@pytest.mark.parametrize(
    "content", [b"", b"PAR1 cut off\n", b"\xff\x00\n"], ids=["empty", "cut off", "binary"]
)
def test_an_unreadable_file_fails_a_check_while_other_windows_run(shop: Home, content: bytes) -> None:
    daemon = Daemon(shop, "shop")
    _ingest(shop, daemon, "2024-02", "2024-03")
    daemon.look()
    bad = shop.root / "shop" / "interactions" / "2024-02.csv"
    bad.write_bytes(content)
    _land(shop, "2024-04.csv", "2024-04-02")
    asked = daemon.look()
    assert _windows(asked) == ["2024-02", "2024-04"]
    (event,) = asked.asset_events
    assert (event.check_name, event.passed) == ("files", False)
    assert "interactions/2024-02.csv" in event.description
    assert not daemon.look().asset_events

    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(event)  # as the daemon does
        job = daemon.repository.get_job("shop_ingest")
        other = job.execute_in_process(instance=instance, partition_key="2024-04")
        assert other.success
        seen = {check.check_name: check.passed for check in other.get_asset_check_evaluations()}
        assert seen == {"expectations": True, "files": False}
        held = job.execute_in_process(instance=instance, partition_key="2024-02", raise_on_error=False)
        assert not held.success
    lake = shop.lake / "raw/interactions/dataset=shop"
    assert pl.read_parquet(lake / "window=2024-04/part.parquet").height == 1
    assert pl.read_parquet(lake / "window=2024-02/part.parquet").height == 2

    _land(shop, "2024-02.csv", "2024-02-07")
    mended = daemon.look()
    assert _windows(mended) == ["2024-02"]
    assert [event.passed for event in mended.asset_events] == [True]


def test_a_folder_without_any_file_is_said_and_asks_for_nothing(shop: Home) -> None:
    daemon = Daemon(shop, "shop")
    daemon.look()
    for path in (shop.root / "shop" / "interactions").iterdir():
        path.unlink()
    asked = daemon.look()
    assert not asked.run_requests
    assert "has no interactions.csv" in asked.skip_message
    assert [event.passed for event in asked.asset_events] == [False]


def test_a_tick_is_bounded_in_time(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tick has no time for comes with the next ones, a file each at least."""
    monkeypatch.setattr(seen_files, "LOOK_SECONDS", 0.0)
    daemon = Daemon(shop, "shop")
    assert [_windows(daemon.look()) for _ in range(4)] == [["2024-02"], ["2024-02"], ["2024-03"], []]


def test_a_file_that_rests_is_digested_once(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    digested: list[Path] = []

    def counted(path: Path) -> str:
        digested.append(path)
        return file_digest(path)

    monkeypatch.setattr(source_files, "file_digest", counted)
    daemon = Daemon(shop, "shop")
    for _ in range(3):
        daemon.look()
    assert sorted(path.name for path in digested) == ["2024-01.csv", "2024-02.csv", "2024-03.csv"]
    source_files.digest_at.cache_clear()  # as in a new process: the cursor knows
    daemon.look()
    assert len(digested) == 3


def test_what_a_run_met_half_written_is_asked_for_again(shop: Home) -> None:
    """A run of another window reads a file between two ticks, in a state that no tick has seen."""
    daemon = _settling(shop)
    for path in (shop.root / "shop" / "interactions").iterdir():
        _aged(path, 100)
    daemon.look()
    path = _land(shop, "2024-03.csv", "2024-03-05")
    with path.open("a") as stream:
        stream.write("u7,i7,2024")
    _ingest(shop, daemon, "2024-02", "2024-03")
    with path.open("a") as stream:
        stream.write("-03-15\n")
    _aged(path, 100)
    assert _windows(daemon.look()) == ["2024-02", "2024-03"]  # its history holds a row of 1970
    _ingest(shop, daemon, "2024-02", "2024-03")
    assert not daemon.look().run_requests
    found = pl.read_parquet(shop.lake / "raw/interactions/dataset=shop/window=2024-01/part.parquet")
    assert "u7" not in found["user_id"].to_list()


def _ingest(shop: Home, daemon: Daemon, *windows: str) -> None:
    """Runs of Dagster's own job that reads raw files."""
    with homes.entered(shop), dg.DagsterInstance.ephemeral() as instance:
        job = daemon.repository.get_job("shop_ingest")
        for window in windows:
            assert job.execute_in_process(instance=instance, partition_key=window).success
