import subprocess
import sys
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.storage import catalogue
from mrs_pipeline.storage.catalogue import query, refresh
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table

PROVENANCE = Provenance("code")


def _write(lake: Lake, window: str, *values: int, **extra: object) -> None:
    frame = pl.DataFrame({"value": values}).with_columns(
        **{name: pl.lit(each) for name, each in extra.items()}
    )
    lake.write_frame(Table.of("core", "items", dataset="demo", window=window), frame, PROVENANCE)


def _write_features(
    lake: Lake, window: str, vectors: list[list[float] | None], dataset: str = "demo"
) -> None:
    frame = pl.DataFrame(
        {"item": range(len(vectors)), "item_id": [str(i) for i in range(len(vectors))], "vector": vectors},
        schema_overrides={"vector": pl.List(pl.Float32)},
    )
    lake.write_frame(Table.of("features", "image_x", dataset=dataset, window=window), frame, PROVENANCE)


def test_every_table_is_a_view_with_its_keys(home: Home, lake: Lake) -> None:
    _write(lake, "2024-03", 1)
    _write(lake, "full", 2)
    rows = query(home, 'SELECT value, dataset, "window" FROM core.items ORDER BY value').rows()
    assert rows == [(1, "demo", "2024-03"), (2, "demo", "full")]


def test_new_partitions_are_seen_without_a_refresh_and_new_columns_after_one(home: Home, lake: Lake) -> None:
    _write(lake, "a", 1)
    refresh(home)
    _write(lake, "b", 2, colour="red")
    assert query(home, 'SELECT * EXCLUDE (dataset, "window") FROM core.items ORDER BY ALL').rows() == [
        (1,),
        (2,),
    ]
    refresh(home)
    assert query(home, "SELECT colour FROM core.items ORDER BY value").rows() == [(None,), ("red",)]


def test_what_is_put_off_is_done_by_the_next_query_or_when_it_is_asked_for(
    home: Home, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(lake, "2024-01", 3)
    now = [100.0]
    monkeypatch.setattr(catalogue.time, "monotonic", lambda: now[0])

    def rebuild(home: Home) -> tuple[str, ...]:
        now[0] += 2.0
        return refresh(home)

    monkeypatch.setattr(catalogue, "refresh", rebuild)
    catalogue.refresh_sparingly(home)  # ends at 102; nine times what it took is a pause until 120
    made_at = home.catalogue.stat().st_ino
    now[0] = 119.0
    catalogue.refresh_sparingly(home)
    assert home.catalogue.stat().st_ino == made_at
    query(home, "SELECT 1")
    catalogue.refresh_pending()
    assert now[0] == 121.0, "the query did it, and nothing was left to be done"
    catalogue.refresh_sparingly(home)
    assert now[0] == 123.0
    catalogue.refresh_sparingly(home)
    catalogue.refresh_pending()
    assert now[0] == 125.0


def test_an_empty_lake_has_an_empty_catalogue(home: Home) -> None:
    assert query(home, "SELECT count(*) FROM duckdb_views() WHERE NOT internal").item() == 0


def test_a_deleted_table_leaves_the_catalogue(home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    refresh(home)
    lake.delete(Table.of("core", "items", dataset="demo", window="full"))
    refresh(home)
    with pytest.raises(InputError, match="does not exist"):
        query(home, "SELECT * FROM core.items")


def test_feature_sets_are_arrays_in_a_view_of_their_own(home: Home, lake: Lake) -> None:
    _write_features(lake, "full", [None, [3.0, 4.0], [4.0, 3.0]])
    _write_features(lake, "full", [[1.0, 0.0, 0.0]], dataset="other-one")
    near = query(
        home,
        "SELECT array_cosine_similarity(a.vector, b.vector) FROM features.demo_image_x a, features.demo_image_x b "
        "WHERE a.item = 1 AND b.item = 2",
    ).item()
    assert near == pytest.approx(0.96)
    kind = 'SELECT typeof(vector) FROM features."other-one_image_x" LIMIT 1'
    assert query(home, kind).item() == "FLOAT[3]"


def test_feature_windows_of_different_widths_stay_lists(home: Home, lake: Lake) -> None:
    _write_features(lake, "a", [[1.0]])
    _write_features(lake, "b", [[1.0, 2.0]])
    widths = query(
        home, "SELECT len(vector) AS n, typeof(vector) FROM features.demo_image_x ORDER BY n"
    ).rows()
    assert widths == [(1, "FLOAT[]"), (2, "FLOAT[]")]


def test_feature_sets_without_any_vector_have_a_view_too(home: Home, lake: Lake) -> None:
    _write_features(lake, "full", [None, None])
    assert query(home, "SELECT count(*), count(vector) FROM features.demo_image_x").rows() == [(2, 0)]


def test_two_feature_sets_of_one_view_name_are_refused(home: Home, lake: Lake) -> None:
    frame = pl.DataFrame({"item": [0], "vector": [[1.0]]})
    lake.write_frame(Table.of("features", "x", dataset="a_image", window="full"), frame, PROVENANCE)
    lake.write_frame(Table.of("features", "image_x", dataset="a", window="full"), frame, PROVENANCE)
    with pytest.raises(InputError, match=r"two tables would be features\.a_image_x"):
        refresh(home)


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM core.items", "SELECT * FROM nowhere"])
def test_a_wrong_query_is_one_sentence(sql: str, home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    with pytest.raises(InputError, match=r"cannot be answered: (Parser|Binder|Catalog) Error") as caught:
        query(home, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t (a INT)", "CREATE VIEW core.v AS SELECT 1", "", "-- nothing"]
)
def test_the_catalogue_cannot_be_written(sql: str, home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    with pytest.raises(InputError):
        query(home, sql)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("COPY (SELECT 1) TO '{}'", "COPY"),
        ("COPY core.items TO '{}' (FORMAT parquet)", "COPY"),
        ("EXPORT DATABASE '{}'", "EXPORT"),
        ("ATTACH '{}'", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
        ("LOAD json", "LOAD"),
        ("SET memory_limit = '1TB'", "SET"),
        ("PRAGMA database_list", "PRAGMA"),
        ("CALL pragma_version()", "CALL"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO '{}'", "COPY"),
        ("SELECT 1; COPY (SELECT 1) TO '{}'", "2 statements"),
        ("PREPARE p AS COPY (SELECT 1) TO '{}'", "PREPARE"),
    ],
)
def test_what_is_no_query_is_refused_before_it_runs(
    sql: str, kind: str, home: Home, lake: Lake, tmp_path: Path
) -> None:
    _write(lake, "full", 1)
    target = tmp_path / "written"
    with pytest.raises(InputError, match=kind):
        query(home, sql.format(target))
    assert not target.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "DESCRIBE core.items",
        "SHOW ALL TABLES",
        "EXPLAIN SELECT * FROM core.items",
        "FROM core.items",
        "VALUES (1)",
    ],
)
def test_all_forms_of_a_query_are_answered(sql: str, home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    assert query(home, sql).height


def test_a_notebook_that_holds_the_file_blocks_no_query(home: Home, lake: Lake) -> None:
    _write(lake, "full", 1, 2)
    _write_features(lake, "full", [[1.0, 0.0]])
    refresh(home)
    script = (
        f"import duckdb; con = duckdb.connect({str(home.catalogue)!r}); print('open', flush=True); input()"
    )
    notebook = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert notebook.stdout is not None and notebook.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException, match="lock"):
            duckdb.connect(str(home.catalogue), read_only=True)
        assert query(home, "SELECT value FROM core.items ORDER BY value").rows() == [(1,), (2,)]
        assert query(home, "SELECT any_value(typeof(vector)) FROM features.demo_image_x").item() == "FLOAT[2]"
        _write(lake, "later", 3)  # while it is held, what is new is seen too
        assert query(home, "SELECT count(*) FROM core.items").item() == 3
        refresh(home)
    finally:
        notebook.communicate("\n", timeout=30)
    assert query(home, "SELECT count(*) FROM core.items").item() == 3


def _foreign(path: Path, how: str) -> None:
    """A file of some kind that is no partition of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    good = next(path.parents[1].glob("*/part.parquet"), None)
    match how:
        case "truncated":
            assert good is not None
            path.write_bytes(good.read_bytes()[:-20])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("value,dataset\n1,demo\n" * 20)
        case "other columns":
            pl.DataFrame({"x": ["a"], "value": [{"y": 1}]}).write_parquet(path)
        case "torn footer":
            assert good is not None
            whole = good.read_bytes()
            path.write_bytes(whole[:80] + bytes(len(whole) - 88) + whole[-8:])


BAD = ("truncated", "empty", "text", "other columns", "torn footer")


@pytest.mark.parametrize("how", BAD)
def test_a_bad_file_is_left_out_and_named_with_its_remedy_and_all_else_can_be_asked(
    how: str, home: Home, lake: Lake
) -> None:
    _write(lake, "full", 1)
    _write_features(lake, "full", [[1.0, 2.0]])
    _foreign(lake.root / "core/items/dataset=demo/window=2024-03/part.parquet", how)
    _foreign(lake.root / "core/users/dataset=demo/window=full/part.parquet", "empty")
    left_out = refresh(home)
    assert len(left_out) == 2
    assert "core/items/dataset=demo/window=2024-03/part.parquet" in left_out[0]
    assert left_out[0].endswith("remove it and run `mrs run demo --window 2024-03`, which makes it again.")
    assert left_out[1].endswith("remove it and run `mrs run demo`, which makes it again.")
    assert not any("\n" in sentence for sentence in left_out)
    assert query(home, 'SELECT value, "window" FROM core.items').rows() == [(1, "full")]
    assert query(home, "SELECT count(*) FROM features.demo_image_x").item() == 1
    with pytest.raises(InputError, match="does not exist"):
        query(home, "SELECT * FROM core.users")


def test_a_bad_file_that_was_made_again_is_back_in_its_view(home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    _foreign(lake.root / "core/items/dataset=demo/window=2024-03/part.parquet", "text")
    assert len(refresh(home)) == 1
    _write(lake, "2024-03", 2)
    assert refresh(home) == ()
    _write(lake, "2024-04", 3)  # seen without a refresh again
    assert query(home, "SELECT sum(value) FROM core.items").item() == 6


@pytest.mark.parametrize("how", ["truncated", "empty", "text", "torn footer"])
def test_a_file_that_goes_bad_under_a_view_is_left_out_of_the_next_answer(
    how: str, home: Home, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    _write(lake, "full", 1)
    _write(lake, "2024-03", 2)
    refresh(home)
    _foreign(lake.root / "core/items/dataset=demo/window=2024-03/part.parquet", how)
    assert query(home, "SELECT value FROM core.items").rows() == [(1,)]
    assert "window=2024-03/part.parquet" in caplog.text


def test_partitions_that_do_not_fit_together_cost_only_their_own_view(home: Home, lake: Lake) -> None:
    _write(lake, "full", 1)
    _write_features(lake, "a", [[1.0]])
    table = Table.of("features", "image_x", dataset="demo", window="b")
    lake.write_frame(table, pl.DataFrame({"item": [0], "vector": ["no vector"]}), PROVENANCE)
    (sentence,) = refresh(home)
    assert sentence.startswith("features.demo_image_x has no view, its partitions do not fit together (")
    assert query(home, "SELECT value FROM core.items").item() == 1


def test_an_open_reader_keeps_its_file_and_blocks_nobody(home: Home, lake: Lake) -> None:
    _write(lake, "a", 1)
    refresh(home)
    with duckdb.connect(str(home.catalogue), read_only=True) as reader:
        _write(lake, "b", 2)
        refresh(home)
        assert reader.sql("SELECT count(*) FROM core.items").fetchall() == [(2,)]
    assert sorted(each.name for each in home.data.iterdir()) == [".catalogue.lock", "lake", "mrs.duckdb"]


_WRITER = """
import sys
from pathlib import Path
from mrs_pipeline.storage.catalogue import refresh
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.lake import Lake
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table

home, number = Home(Path(sys.argv[1])), int(sys.argv[2])
lake = Lake(home.lake)
with lake.connect() as con:
    for step in range(4):
        table = Table.of("core", "items", dataset=f"d{number}", window=f"w{step}")
        lake.write(con, table, f"SELECT i AS value FROM range({1000 * (number + 1)}) AS t(i)", Provenance("x"))
        refresh(home)
"""

_READER = """
import sys, time
from pathlib import Path
import duckdb

path, ready, stop, queries, last, end = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), 0, 0, False
held = duckdb.connect(path, read_only=True)  # a shell that stays open
held.execute("SET enable_progress_bar_print = false")  # on a loaded machine a bar would stand before the answer
while not end:
    end = stop.exists()
    rows = held.sql("SELECT count(*) FROM core.items").fetchall()[0][0]
    assert rows >= last, (rows, last)
    last, queries = rows, queries + 1
    ready.touch()
print(queries, last)
"""


def test_eight_writers_and_an_open_reader_neither_fail_nor_lose_a_row(home: Home, lake: Lake) -> None:
    _write(lake, "first", 1)
    refresh(home)
    path, ready, stop = home.catalogue, home.root / "ready", home.root / "stop"
    run = [sys.executable, "-c"]
    reader = subprocess.Popen(
        [*run, _READER, str(path), str(ready), str(stop)], stdout=subprocess.PIPE, text=True
    )
    while not ready.exists() and reader.poll() is None:
        time.sleep(0.05)
    writers = [subprocess.Popen([*run, _WRITER, str(home.root), str(number)]) for number in range(8)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 8
    stop.touch()
    output, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    expected = 1 + sum(4 * 1000 * (number + 1) for number in range(8))
    queries, last = map(int, output.split())
    assert queries >= 2
    assert last == expected
    assert query(home, "SELECT count(*) FROM core.items").item() == expected
    assert list(Path(home.data).glob(".catalogue-*")) == []
