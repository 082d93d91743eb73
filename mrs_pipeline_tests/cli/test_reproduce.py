"""`mrs reproduce`: a recorded model comes out the same again, and a planted difference is found."""

import polars as pl
import pytest

from mrs_pipeline.storage.lake import Lake
from mrs_pipeline_tests.cli.shops import Mrs, Shop


def _told(text: str) -> dict[str, str]:
    """Asset -> the last column of its row."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    return {row[0]: row[3] for row in rows}


def test_a_model_comes_out_as_it_was_recorded(finished: Mrs) -> None:
    again = finished("reproduce", "shop", "mm_ease")
    assert again.code == 0, again.out + again.err
    told = _told(again.out)
    for asset in ("raw/items", "core/splits", "features/audio_identity", "trained/mm_ease"):
        assert told[asset] == "yes"
    assert told["metrics/mm_ease"] == "yes, largest difference 0"
    assert "notice" not in again.err
    assert "come out as recorded" in again.out


def test_a_run_stands_for_what_it_trained(finished: Mrs) -> None:
    query = "SELECT DISTINCT run, asset FROM lineage.materializations WHERE starts_with(asset, 'trained/') ORDER BY 2"
    (_, run, *_) = [line.split(",")[0] for line in finished("query", "--csv", query).out.splitlines()]
    told = finished("reproduce", "shop", run[:8])
    assert told.code == 1
    assert told.sentence.startswith(f"run {run[:8]} trained ") and "mm_ease at full" in told.sentence
    unknown = finished("reproduce", "shop", "nobody")
    assert unknown.sentence.startswith("nobody is neither a model of shop (")


@pytest.mark.slow
def test_what_differs_is_named(home: Mrs, shop: Shop) -> None:
    assert home("reproduce", "shop", "most_pop").sentence.startswith("most_pop has not been trained")
    assert home("run", "shop", "--models", "most_pop").code == 0
    lake = Lake(home.root / "data" / "lake")
    (table,) = lake.partitions("eval", "metrics", dataset="shop", model="most_pop")
    changed = lake.read(table).with_columns(value=pl.col("value") + 0.25)
    lake.write_frame(table, changed, lake.manifest(table).provenance)
    again = home("reproduce", "shop", "most_pop")
    assert again.code == 1
    told = _told(again.out)
    assert told["metrics/most_pop"] == "NO, largest difference 0.25"
    assert told["trained/most_pop"] == "yes"
    shop.edit("items.csv", "Thing 0", "Thing nought")
    again = home("reproduce", "shop", "most_pop")
    assert _told(again.out)["raw/items"] == "NO"
    assert "notice: since it was made" in again.err
