"""The files of a year: none of the rows is lost, and each accident is what its name says, as the sensor sees it."""

from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.opening import open_source
from mrs_pipeline.simulation.feeding import (
    FED_READERS,
    LANDING,
    OTHER_NAME,
    Stock,
    land,
    land_all,
    land_changed,
    land_cut_off,
    stock_up,
)
from mrs_pipeline.simulation.scratch import make_scratch, scratch_settings
from mrs_pipeline.storage.home import Home
from mrs_pipeline.tasks.seen_files import Memory
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline.tasks.watching import Look, look_at
from mrs_pipeline_tests.simulation.fed import MODELS, MONTHS, tiny


def _look(stage: Stage, memory: Memory | None = None) -> Look:
    return look_at(stage, memory or Memory(), settle=0)


def _rows(stage: Stage) -> pl.DataFrame:
    with stage.lake.connect() as con:
        sql = open_source(stage.config.source, stage.home.root).interactions_sql(con)
        return con.sql(f"SELECT user_id, item_id, rating, timestamp FROM ({sql}) ORDER BY ALL").pl()


def test_the_files_hold_the_rows_of_the_source_until_the_last_month(stock: Stock, tmp_path: Path) -> None:
    settings = scratch_settings(tiny(), MONTHS, MODELS)
    home = make_scratch(settings, tmp_path / "home", tmp_path)
    land_all(stock, home)
    original = _rows(Stage(tiny(), Home(stock.root.parent)))
    until = original.filter(pl.col("timestamp") < pl.datetime(2024, 4, 1))
    assert until.height < original.height
    assert _rows(Stage(settings, home)).equals(until)
    for month in MONTHS:
        times = pl.read_parquet(stock.file(month))["timestamp"].dt.strftime("%Y-%m")
        assert times.unique().to_list() == [month]
    landing = home.root / LANDING
    assert (landing / "items.csv").is_file()
    assert any((landing / "images").iterdir())


def test_months_are_due_as_they_land(fed: Stage, stock: Stock) -> None:
    first = _look(fed)
    assert list(first.due) == ["2024-01"]
    land(stock, fed.home, MONTHS[0])
    second = _look(fed, first.memory)
    assert (list(second.due), dict(second.faults)) == ([MONTHS[0]], {})


def test_a_late_file_makes_its_own_month_due(fed: Stage, stock: Stock) -> None:
    land(stock, fed.home, MONTHS[1])
    first = _look(fed)
    assert list(first.due) == ["2024-01", *MONTHS]  # the month without rows is history of the next
    land(stock, fed.home, MONTHS[0])
    assert MONTHS[0] in _look(fed, first.memory).due


@pytest.mark.parametrize(("spoil", "sentence"), [(land_cut_off, "is not"), (land_changed, OTHER_NAME)])
def test_a_spoilt_file_is_named_and_its_month_waits(
    fed: Stage, stock: Stock, spoil: object, sentence: str
) -> None:
    first = _look(fed)
    assert callable(spoil)
    spoil(stock, fed.home, MONTHS[0])
    spoilt = _look(fed, first.memory)
    (fault,) = spoilt.faults.values()
    assert f"{MONTHS[0]}.parquet" in fault and sentence in fault
    assert not spoilt.due
    land(stock, fed.home, MONTHS[0])
    mended = _look(fed, spoilt.memory)
    assert (list(mended.due), dict(mended.faults)) == ([MONTHS[0]], {})


def test_a_layout_that_is_not_cut_by_month_is_refused(tmp_path: Path) -> None:
    config = tiny(source={"reader": "mmrec", "path": str(tmp_path)})
    with pytest.raises(InputError, match=f"feeds datasets of the readers {' and '.join(FED_READERS)}"):
        stock_up(config, Home(tmp_path), MONTHS, tmp_path / "files")


def test_feature_sets_that_no_chosen_model_reads_are_left_out() -> None:
    config = tiny(models={"most_pop": None, "mm_ease": None})
    assert scratch_settings(config, MONTHS, ["most_pop"]).features == ()
    assert len(scratch_settings(config, MONTHS, ["mm_ease"]).features) == 1
    with pytest.raises(InputError, match="tiny does not list the model mm_eas .did you mean"):
        scratch_settings(config, MONTHS, ["mm_eas"])
