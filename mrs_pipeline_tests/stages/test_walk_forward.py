"""What a window means in the stored tables: history and events, no look ahead, no row lost."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.stages import ingest
from mrs_pipeline.stored.raw_rows import raw_rows
from mrs_pipeline.tasks.currency import provenance_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import WINDOW, perform, stage_of, task_of

START, END = datetime(2024, 6, 1), datetime(2024, 7, 1)
HISTORY = [f"2024-{month:02}" for month in range(1, 6)]


def _core(stage: Stage, name: str) -> pl.DataFrame:
    return stage.lake.read(stage.table("core", name))


def _raw(stage: Stage, window: str) -> pl.DataFrame:
    return stage.lake.read(stage.table("raw", "interactions", window=window))


def test_a_raw_window_holds_the_rows_of_its_time(worked: Path) -> None:
    stage = stage_of(worked)
    times = _raw(stage, WINDOW)["timestamp"]
    assert START <= times.min() <= times.max() < END


def test_every_row_of_the_source_is_in_one_window(worked: Path) -> None:
    stage = stage_of(worked)
    files = [f"data/raw/demo/interactions/{window}.parquet" for window in (*HISTORY, WINDOW)]
    written = sum(pl.read_parquet(stage.home.root / name).height for name in files)
    read = [_raw(stage, window) for window in (*HISTORY, WINDOW)]
    assert sum(frame.height for frame in read) == written
    assert pl.concat(read).select("source_file", "source_row").is_duplicated().sum() == 0


def test_rows_before_the_first_window_or_without_time_are_in_the_first(root: Path) -> None:
    stage = stage_of(root, WINDOW, window={"every": "month", "start": "2024-03", "end": "2024-12"})
    path = root / "data/raw/demo/interactions/2024-04.parquet"
    frame = pl.read_parquet(path)
    untimed = pl.when(pl.int_range(pl.len()) < 4).then(None).otherwise("timestamp").alias("timestamp")
    frame.with_columns(untimed).write_parquet(path)
    perform(stage, ["raw/interactions"])
    first = _raw(stage, "2024-03")
    assert first["timestamp"].null_count() == 4
    assert first["timestamp"].min() < datetime(2024, 2, 1)
    assert _raw(stage, "2024-04").height == frame.height - 4


def test_rows_after_the_last_window_are_told(root: Path) -> None:
    stage = stage_of(root, WINDOW, window={"every": "month", "start": "2024-01", "end": "2024-10"})
    after = [pl.read_parquet(root / f"data/raw/demo/interactions/2024-{month}.parquet") for month in (11, 12)]
    facts = perform(stage, ["raw/interactions"])["raw/interactions"].facts
    assert facts["rows after the last window"] == sum(frame.height for frame in after) > 0


def test_rows_read_are_kept_or_quarantined(worked: Path) -> None:
    stage = stage_of(worked)
    read = sum(_raw(stage, window).height for window in (*HISTORY, WINDOW))
    rejected = _core(stage, "quarantine")
    assert _core(stage, "interactions").height + rejected.height == read
    assert rejected["reason"].null_count() == 0


def test_history_lies_before_the_window_and_its_events_in_it(worked: Path) -> None:
    rows = _core(stage_of(worked), "interactions")
    history, events = rows.filter("is_history"), rows.filter(~pl.col("is_history"))
    assert history["timestamp"].max() < START
    assert START <= events["timestamp"].min() <= events["timestamp"].max() < END


def test_no_test_row_is_older_than_any_row_that_is_learned_from(worked: Path) -> None:
    """The split that follows from the window: train, then validation, then the window's own events."""
    splits = _core(stage_of(worked), "splits")
    spans = {
        name: (part["timestamp"].min(), part["timestamp"].max()) for (name,), part in splits.group_by("split")
    }
    assert spans["train"][1] < spans["valid"][0]
    assert spans["valid"][1] < START <= spans["test"][0]


def test_cold_items_are_those_without_history(worked: Path) -> None:
    stage = stage_of(worked)
    items, rows = _core(stage, "items"), _core(stage, "interactions")
    warm = set(rows.filter("is_history")["item"])
    assert set(items.filter("is_cold")["item"]) == set(items["item"]) - warm
    assert items.filter("is_cold").height > 0
    assert items["is_cold"].is_sorted()  # warm items first, so that their numbers do not depend on the window


def test_later_rows_do_not_change_an_earlier_window(root: Path) -> None:
    """Everything after the window may be anything: its tables, splits and weights stay bit for bit."""
    stage = stage_of(root)
    names = ("users", "items", "interactions", "quarantine", "splits")
    before = {name: stage.lake.manifest(stage.table("core", name)).digest for name in names}
    for month in range(7, 13):
        path = root / f"data/raw/demo/interactions/2024-{month:02}.parquet"
        frame = pl.read_parquet(path)
        frame.with_columns(pl.col("item_id").reverse(), rating=pl.lit(5, pl.Int8)).write_parquet(path)
    weights = {path: path.read_bytes() for path in root.glob("models/tiny/*/*/*/seed=1/*.safetensors")}
    assert len(weights) == 3
    perform(stage, ["raw/interactions", "core/tables", "core/splits", "trained/most_pop", "trained/bpr_mf"])
    assert {name: stage.lake.manifest(stage.table("core", name)).digest for name in names} == before
    assert {path: path.read_bytes() for path in weights} == weights


def test_a_window_that_has_just_opened_is_trained_for(root: Path) -> None:
    """What the retraining schedule asks for at the start of a window: lists to serve, nothing to score yet."""
    opened = stage_of(root, "2025-01")
    done = perform(opened)
    assert _raw(opened, "2025-01").height == 0
    assert set(_core(opened, "splits")["split"]) == {"train", "valid"}
    assert done["recommendations/freedom"].facts["users"] == _core(opened, "users").height > 0
    assert done["metrics/freedom"].facts == {"note": "no test row in this window yet: nothing to score"}
    board = done["eval/leaderboard"].facts["leaderboard"]
    assert set(board["window"]) == {WINDOW}


def test_a_leaderboard_of_nothing_says_what_to_run(root: Path) -> None:
    opened = stage_of(root, "2025-01")
    for part in opened.lake.partitions("eval", "metrics"):
        opened.lake.delete(part)
    with pytest.raises(InputError, match="run"):
        perform(opened, ["eval/leaderboard"])


def test_the_first_window_has_no_history(root: Path) -> None:
    with pytest.raises(InputError, match=r"no interaction lies before 2024-01-01"):
        perform(stage_of(root, "2024-01"), ["core/tables"])


def test_a_window_outside_the_settings_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="has no window 2023-12; its windows are 2024-01 to 2025-02"):
        perform(stage_of(root, "2023-12"), ["core/tables"])


def test_rows_of_no_window_are_kept_once_and_quarantined_with_a_reason(root: Path) -> None:
    window = {"every": "month", "start": "2024-03", "end": "2024-10", "score_from": "2024-05"}
    stage = stage_of(root, WINDOW, window=window, interactions={"earliest": "2024-02-01"})
    path = root / "data/raw/demo/interactions/2024-04.parquet"
    frame = pl.read_parquet(path)
    odd = {0: None, 1: datetime(1970, 1, 1), 2: datetime(9999, 12, 31), 3: datetime(2031, 1, 1)}
    times = [odd.get(row, time) for row, time in enumerate(frame["timestamp"].to_list())]
    frame.with_columns(pl.Series("timestamp", times, frame["timestamp"].dtype)).write_parquet(path)
    last = stage.at("2024-10")
    perform(last, ["raw/interactions", "raw/items", "core/tables"])
    files = sorted((root / "data/raw/demo/interactions").glob("*.parquet"))
    written = sum(pl.read_parquet(file).height for file in files)
    windows = [f"2024-{month:02}" for month in range(3, 11)]
    assert sum(_raw(stage, each).height for each in windows) == written
    quarantine = _core(last, "quarantine")
    assert _core(last, "interactions").height + quarantine.height == written
    reasons = dict(quarantine.group_by("reason").len().iter_rows())
    assert reasons["missing timestamp"] == 2
    january = pl.read_parquet(root / "data/raw/demo/interactions/2024-01.parquet").height
    assert reasons["impossible timestamp"] == january
    later = sum(pl.read_parquet(file).height for file in files if file.stem > "2024-10")
    assert reasons["after the last window"] == later + 2


def test_rows_that_get_their_window_later_count_once(root: Path) -> None:
    """The first window holds a row of a window that was to come; its own window is read as well."""
    short = stage_of(root, "2024-05", window={"every": "month", "start": "2024-01", "end": "2024-05"})
    perform(short, ["raw/interactions"])
    ahead = _raw(short, "2024-01").filter(pl.col("timestamp") >= datetime(2024, 6, 1)).height
    assert ahead > 0
    full = stage_of(root, WINDOW, window={"every": "month", "start": "2024-01", "end": "2024-06"})
    task = task_of(full, "raw/interactions")
    for key in [f"2024-{month:02}" for month in range(2, 7)]:
        task.run(full.at(key), task, provenance_of(full.at(key), task))
    rows = raw_rows(full, task_of(full, "core/tables"))
    with full.lake.connect() as con:
        twice = con.sql(f"SELECT count(*) - count(DISTINCT (source_file, source_row)) FROM {rows}").fetchall()
    assert twice == [(0,)]


def test_what_was_parsed_is_kept_until_it_is_let_go(root: Path) -> None:
    stage = stage_of(root)
    ingest.check_source(stage)
    first = ingest.parsed_source(stage)
    assert ingest.parsed_source(stage) is first
    ingest.forget_source()
    assert ingest.parsed_source(stage) is not first
    ingest.forget_source()
