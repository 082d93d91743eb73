import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from mrs_pipeline.database import MEMORY_VARIABLE
from mrs_pipeline.errors import InputError, UnreadableError
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table

PROVENANCE = Provenance("code", {"raw/items": "it's"})
TABLE = Table.of("core", "items", dataset="demo", window="2024-03")


def _frame(*values: int) -> pl.DataFrame:
    return pl.DataFrame({"value": values}, schema={"value": pl.Int64})


def test_keys_have_one_order() -> None:
    table = Table.of("models", "runs", seed=1, window="full", run="x", model="vbpr", dataset="demo")
    assert [key for key, _ in table.keys] == ["dataset", "window", "model", "seed", "run"]
    assert str(TABLE) == "core/items [dataset=demo, window=2024-03]"


@pytest.mark.parametrize(
    "bad", ["a/b", "..", ".hidden", "a=b", "", "a b", "a%20", "ü", "x" * 201, "a\n", "-x"]
)
def test_names_that_are_no_folders_are_refused(bad: str) -> None:
    with pytest.raises(InputError, match="cannot name a table or partition"):
        Table.of("core", "items", dataset=bad)
    with pytest.raises(InputError, match="cannot name a table or partition"):
        Table.of("core", bad)


def test_a_seed_is_a_number() -> None:
    with pytest.raises(InputError, match="whole number"):
        Table.of("models", "runs", seed="one")


def test_written_rows_come_back_in_order_with_their_manifest(lake: Lake) -> None:
    with lake.connect() as con:
        query = "SELECT * FROM (VALUES (3, 'c', TIMESTAMP '2024-01-02'), (1, NULL, NULL)) AS t(number, text, moment)"
        manifest = lake.write(con, TABLE, query, PROVENANCE)
    assert lake.read(TABLE)["number"].to_list() == [3, 1]
    assert (manifest.rows, manifest.provenance) == (2, PROVENANCE)
    assert manifest.columns == {"number": "INTEGER", "text": "VARCHAR", "moment": "TIMESTAMP"}
    assert lake.manifest(TABLE) == manifest


def test_the_digest_is_of_the_rows_not_of_their_order_or_file(lake: Lake) -> None:
    digests = [
        lake.write_frame(TABLE, _frame(*values), PROVENANCE).digest for values in [(1, 2), (2, 1), (1, 3)]
    ]
    assert digests[0] == digests[1] != digests[2]


def test_an_empty_frame_is_a_partition(lake: Lake) -> None:
    assert lake.write_frame(TABLE, _frame(), PROVENANCE).rows == 0
    assert lake.read(TABLE).schema == {"value": pl.Int64}


def test_lists_and_arrays_of_numbers_are_stored(lake: Lake) -> None:
    frame = pl.DataFrame({"vector": [[1.0, 2.0], None]}, schema={"vector": pl.List(pl.Float32)})
    assert lake.write_frame(TABLE, frame, PROVENANCE).columns == {"vector": "FLOAT[]"}
    assert lake.read(TABLE)["vector"].to_list() == [[1.0, 2.0], None]


def test_what_is_absent_is_named_with_the_asset_to_materialise(lake: Lake) -> None:
    for ask in (lake.read, lake.manifest, lake.scan):
        with pytest.raises(InputError, match=r"core/items \[dataset=demo.*materialise core/items"):
            ask(TABLE)
    with pytest.raises(InputError, match="materialise core/items"):
        lake.scan_all("core", "items", dataset="demo")


def test_a_foreign_parquet_file_is_refused(lake: Lake) -> None:
    path = lake.root / "core" / "items" / "dataset=demo" / "window=2024-03" / "part.parquet"
    path.parent.mkdir(parents=True)
    _frame(1).write_parquet(path)
    with pytest.raises(InputError, match="was not written by mrs"):
        lake.manifest(TABLE)


def test_partitions_scan_together_and_lacking_columns_are_null(lake: Lake) -> None:
    later = Table.of("core", "items", dataset="demo", window="2024-04")
    lake.write_frame(TABLE, _frame(1), PROVENANCE)
    lake.write_frame(later, _frame(2).with_columns(extra=pl.lit("new")), PROVENANCE)
    with lake.connect() as con:
        rows = con.sql(f"SELECT value, extra FROM {lake.scan(TABLE, later)} ORDER BY value").fetchall()
        assert rows == [(1, None), (2, "new")]
        both = con.sql(f'SELECT value, "window" FROM {lake.scan_all("core", "items")} ORDER BY 1').fetchall()
        assert both == [(1, "2024-03"), (2, "2024-04")]
        one = con.sql(f"SELECT value FROM {lake.scan_all('core', 'items', window='2024-04')}").fetchall()
        assert one == [(2,)]


def test_a_scan_has_no_keys_and_keys_are_text_but_seeds_numbers(lake: Lake) -> None:
    table = Table.of("models", "runs", dataset="1", window="2024", model="0", seed=7)
    lake.write_frame(table, _frame(1), PROVENANCE)
    with lake.connect() as con:
        assert con.sql(f"SELECT * FROM {lake.scan(table)}").columns == ["value"]
        asked = f'SELECT value, dataset, "window", model, seed FROM {lake.scan_all("models", "runs")}'
        assert con.sql(asked).fetchall() == [(1, "1", "2024", "0", 7)]


def test_paths_with_quotes_and_wildcards_are_literal(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "it's [odd]*?")
    lake.write_frame(TABLE, _frame(5), PROVENANCE)
    with lake.connect() as con:
        assert con.sql(f"SELECT value FROM {lake.scan(TABLE)}").fetchall() == [(5,)]
        assert con.sql(f"SELECT value FROM {lake.scan_all('core', 'items')}").fetchall() == [(5,)]


def test_partitions_tables_and_delete(lake: Lake) -> None:
    other = Table.of("core", "items", dataset="demo", window="2024-04")
    for table in (other, TABLE, Table.of("raw", "items", dataset="demo", window="full")):
        lake.write_frame(table, _frame(1), PROVENANCE)
    assert lake.partitions("core", "items", dataset="demo") == [TABLE, other]
    assert lake.partitions("core", "items", window="2024-04") == [other]
    assert lake.partitions("core", "items", window="*-03") == [TABLE]
    assert lake.partitions("core", "items", window="*", model="ease") == []
    assert lake.partitions("core", "users") == []
    assert lake.tables() == [("core", "items"), ("raw", "items")]
    lake.delete(TABLE)
    lake.delete(TABLE)
    assert not lake.exists(TABLE)
    lake.delete(other)
    assert lake.tables() == [("raw", "items")]


def test_a_column_named_like_a_key_is_refused_and_nothing_is_written(lake: Lake) -> None:
    with pytest.raises(InputError, match="column named 'window'"):
        lake.write_frame(TABLE, pl.DataFrame({"Window": [1]}), PROVENANCE)
    assert not lake.exists(TABLE)


def test_partitions_of_one_table_have_the_same_keys(lake: Lake) -> None:
    lake.write_frame(TABLE, _frame(1), PROVENANCE)
    with pytest.raises(ValueError, match="same keys"):
        lake.write_frame(Table.of("core", "items", dataset="demo"), _frame(1), PROVENANCE)


def test_a_failing_query_leaves_the_old_partition_and_no_table_behind(lake: Lake) -> None:
    lake.write_frame(TABLE, _frame(1), PROVENANCE)
    with lake.connect() as con:
        with pytest.raises(duckdb.Error):
            lake.write(con, TABLE, "SELECT error('planted') FROM range(3)", PROVENANCE)
        assert con.execute("SHOW TABLES").fetchall() == []
    assert lake.read(TABLE)["value"].to_list() == [1]


def test_a_bound_that_is_none_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "lots")
    with pytest.raises(InputError, match="MRS_DUCKDB_MEMORY='lots' cannot be DuckDB's memory_limit"):
        lake.connect()


def test_the_bounds_and_utc_hold(lake: Lake) -> None:
    with lake.connect() as con:
        asked = (
            "SELECT current_setting('threads'), current_setting('TimeZone'), current_setting('memory_limit')"
        )
        threads, zone, memory = con.execute(asked).fetchall()[0]
    assert (threads, zone) == (1, "UTC")
    assert memory.startswith("953.6")


def test_without_a_bound_a_connection_holds_two_gigabytes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MEMORY_VARIABLE)
    with lake.connect() as con:
        assert con.execute("SELECT current_setting('memory_limit')").fetchall() == [("1.8 GiB",)]


def test_a_table_is_written_as_the_query_of_it_would_be_and_stays(lake: Lake) -> None:
    with lake.connect() as con:
        con.execute("CREATE TEMP TABLE made AS SELECT range AS value, 'x' AS text FROM range(100)")
        asked = lake.write(con, TABLE, "SELECT * FROM made", PROVENANCE)
        assert lake.write_table(con, TABLE, "made", PROVENANCE) == asked
        assert con.execute("SELECT count(*) FROM made").fetchall() == [(100,)]
    assert lake.read(TABLE)["value"].to_list() == list(range(100))


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"a,b\n1,2\n", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_damaged_file_is_named_with_its_remedy(lake: Lake, content: bytes) -> None:
    lake.write_frame(TABLE, _frame(1), PROVENANCE)
    path = lake.root / "core" / "items" / "dataset=demo" / "window=2024-03" / "part.parquet"
    path.write_bytes(content)
    for ask in (lake.read, lake.manifest, lake.scan):
        with pytest.raises(UnreadableError) as caught:
            ask(TABLE)
        sentence = str(caught.value)
        assert sentence.startswith(f"{path} is not a readable Parquet file (")
        assert sentence.endswith("remove it and run `mrs run demo --window 2024-03`, which makes it again.")
        assert "\n" not in sentence
    lake.write_frame(TABLE, _frame(2), PROVENANCE)
    assert lake.read(TABLE)["value"].to_list() == [2]


_KILLED_WRITER = """
import sys
from pathlib import Path
from mrs_pipeline.storage import lake as module
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table

lake = Lake(Path(sys.argv[1]))
def hang(path):
    print("written aside", flush=True)
    import time; time.sleep(60)
module._flush = hang
with lake.connect() as con:
    table = Table.of("core", "items", dataset="demo", window="2024-03")
    lake.write(con, table, "SELECT 2::BIGINT AS value FROM range(100000)", Provenance("x"))
"""


def test_a_killed_writer_leaves_the_old_partition_and_its_remains_are_swept(lake: Lake) -> None:
    lake.write_frame(TABLE, _frame(1), PROVENANCE)
    folder = lake.root / "core" / "items" / "dataset=demo" / "window=2024-03"
    writer = subprocess.Popen(
        [sys.executable, "-c", _KILLED_WRITER, str(lake.root)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written aside\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(list(folder.glob(".*.parquet"))) == 1
    assert lake.read(TABLE)["value"].to_list() == [1]
    assert lake.manifest(TABLE).provenance == PROVENANCE
    with lake.connect() as con:
        assert con.sql(f"SELECT count(*) FROM {lake.scan_all('core', 'items')}").fetchall() == [(1,)]
    lake.write_frame(TABLE, _frame(3), PROVENANCE)
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".sha256-"))
    assert names == [".lock", "part.parquet"]
    assert lake.read(TABLE)["value"].to_list() == [3]


def test_spills_of_dead_processes_are_swept_and_those_of_living_ones_are_not(lake: Lake) -> None:
    import socket

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folders = [lake.root / ".spill" / f"{socket.gethostname()}-{pid}-0" for pid in (dead.pid, os.getpid())]
    foreign = lake.root / ".spill" / f"other.machine-{dead.pid}-0"
    for folder in (*folders, foreign):
        folder.mkdir(parents=True)
    lake.connect().close()
    assert [folder.exists() for folder in (*folders, foreign)] == [False, True, True]


def test_large_results_spill_to_the_lake_and_leave_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "40MB")
    with lake.connect() as con:
        query = "SELECT i, md5(i::VARCHAR) AS text FROM range(1000000) AS t(i) ORDER BY text"
        assert lake.write(con, TABLE, query, PROVENANCE).rows == 1_000_000
    assert list((lake.root / ".spill").glob("*")) == []
