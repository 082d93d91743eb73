"""Files of the lake that are damaged: nobody else's runs are stopped by them, and their own make them again."""

from pathlib import Path

import pytest

from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Table
from mrs_pipeline_tests.orchestration import homes
from mrs_pipeline_tests.orchestration.homes import WINDOW

pytestmark = [
    pytest.mark.filterwarnings("ignore:Asset job .* materializes assets"),
]


def _part(home: Home, table: str, **keys: str) -> Path:
    return home.lake.joinpath(table, *(f"{key}={value}" for key, value in keys.items()), "part.parquet")


def test_a_damaged_file_of_another_dataset_stops_no_run(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    bad = _part(home, "core/items", dataset="other", window="full")
    bad.parent.mkdir(parents=True)
    bad.write_text("item,item_id\n0,a\n")
    homes.run(home, models=["most_pop"], force=True)
    assert f"{bad} is not a readable Parquet file" in caplog.text
    assert "run `mrs run other`, which makes it again" in caplog.text
    assert query(home, "SELECT DISTINCT dataset FROM core.items").rows() == [("tiny",)]


@pytest.mark.parametrize("fault", [b"", b"PAR1 and no more", b"a,b\n1,2\n"])
def test_what_is_damaged_is_made_again_without_force(home: Home, fault: bytes) -> None:
    stage = homes.stage_of(home)
    damaged = [
        stage.table("core", "splits"),
        stage.table("raw", "interactions", window="2024-02"),
        stage.lake.partitions("lineage", "materializations", window=WINDOW)[0],
        stage.lake.partitions("lineage", "checks", window=WINDOW)[0],
    ]
    digests = [stage.lake.manifest(table).digest for table in damaged[:2]]
    for table in damaged:
        _part(home, table.path, **dict(table.keys)).write_bytes(fault)
    homes.run(home, models=["most_pop"])
    assert [stage.lake.manifest(table).digest for table in damaged[:2]] == digests
    board = stage.lake.read(Table.of("eval", "leaderboard", dataset="tiny"))
    assert "most_pop" in board["model"].to_list()
