"""The bench of large logs measures every stage; no time is asserted."""

from pathlib import Path

import duckdb
import pytest

from mrs_pipeline.bench.event_log import LogSize, write_event_log
from mrs_pipeline.bench.ingest import bench_ingest

SIZE = LogSize(rows=20_000, users=400, items=100, months=6)


def test_every_stage_is_measured_and_nothing_is_left_behind(tmp_path: Path) -> None:
    table = bench_ingest(SIZE, tmp_path, last=1)
    assert table["stage"].to_list() == ["init", "raw/items", "raw/interactions", "core/tables", "core/splits"]
    assert table["windows"].to_list() == [1, 1, 6, 1, 1]
    rows = dict(table.select("stage", "rows").iter_rows())
    assert (rows["raw/items"], rows["raw/interactions"]) == (100, SIZE.rows)
    assert rows["core/tables"] >= SIZE.rows  # kept and rejected interactions, users, items
    assert 0 < rows["core/splits"] < SIZE.rows
    assert (table["seconds"] > 0).all()
    assert (table["cpu_seconds"] > 0).all()
    assert (table["peak_memory_mb"] > 50).all()
    assert (table.filter(table["stage"] != "init")["check_seconds"] > 0).all()
    assert (table.filter(table["stage"] != "init")["disk_mb"] > 0).all()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def con():
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def test_a_log_has_its_size_its_span_and_unequal_users(con, tmp_path: Path) -> None:
    write_event_log(con, tmp_path / "log", SIZE)
    log = f"read_parquet('{tmp_path}/log/interactions.parquet')"
    count, months, first, last, ordered, users, items = con.execute(
        "SELECT count(*), count(DISTINCT strftime(timestamp, '%Y-%m')), min(strftime(timestamp, '%Y-%m')), "
        "max(strftime(timestamp, '%Y-%m')), bool_and(timestamp >= earlier), count(DISTINCT user_id), "
        "count(DISTINCT item_id) "
        f"FROM (SELECT *, lag(timestamp, 1, timestamp) OVER (ORDER BY file_row_number) AS earlier FROM "
        f"read_parquet('{tmp_path}/log/interactions.parquet', file_row_number = true))"
    ).fetchall()[0]
    assert (count, months, first, last, ordered) == (SIZE.rows, 6, "2022-01", "2022-06", True)
    assert 0.9 * SIZE.users < users <= SIZE.users
    assert items <= SIZE.items
    counts = [
        n for (n,) in con.execute(f"SELECT count(*) FROM {log} GROUP BY user_id ORDER BY 1 DESC").fetchall()
    ]
    assert sum(counts[: SIZE.users // 10]) > 0.4 * SIZE.rows
    catalogue = f"read_parquet('{tmp_path}/log/items.parquet')"
    strangers = f"SELECT count(*) FROM {log} ANTI JOIN {catalogue} USING (item_id)"
    assert con.execute(strangers).fetchall() == [(0,)]


def test_the_same_size_gives_the_same_log(con, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_event_log(con, tmp_path / name, SIZE)
    both = [f"SELECT * FROM read_parquet('{tmp_path}/{name}/interactions.parquet')" for name in ("a", "b")]
    assert con.execute(f"SELECT count(*) FROM ({both[0]} EXCEPT ALL {both[1]})").fetchall() == [(0,)]
