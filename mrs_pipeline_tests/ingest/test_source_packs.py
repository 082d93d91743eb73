"""The real packs, against the counts that their makers state."""

from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from mrs_pipeline.ingest.facts import SourceFacts
from mrs_pipeline.ingest.opening import open_source, source_options
from mrs_pipeline.ingest.source import Source


def opened(packs: Path, name: str, **options) -> Source:
    if not (packs / name).is_dir():
        pytest.skip(f"pack {name} is not there")
    return open_source(source_options(dict(path=name, **options)), packs)


def facts(con: duckdb.DuckDBPyConnection, packs: Path, name: str, **options) -> SourceFacts:
    return opened(packs, name, **options).describe(con)


def splits(con: duckdb.DuckDBPyConnection, source: Source) -> dict[str, int]:
    select = source.interactions_sql(con)
    return dict(con.sql(f"SELECT split, count(*) FROM ({select}) GROUP BY split").fetchall())


def test_xwines(con, packs: Path) -> None:
    found = facts(con, packs, "xwines-slim")
    assert (found.rows, found.users, found.items, found.timed, found.rated) == (
        150_000,
        10_561,
        1_007,
        150_000,
        150_000,
    )
    assert (found.titled, found.described) == (1_007, 1_007)
    assert found.media["image"].present == 100
    assert found.first is not None
    assert (found.first.date(), found.last.date()) == (
        datetime(2012, 4, 19).date(),
        datetime(2021, 12, 31).date(),
    )


def test_xwines_events_a_year(con, packs: Path) -> None:
    select = opened(packs, "xwines-slim").interactions_sql(con)
    years = dict(con.sql(f"SELECT year(timestamp), count(*) FROM ({select}) GROUP BY 1").fetchall())
    assert (years[2013], years[2019]) == (3_640, 25_551)


def test_movielens(con, packs: Path) -> None:
    found = facts(con, packs, "ml-latest-small-mm", matrices={"video": "video_features.csv"})
    assert (found.rows, found.users, found.items) == (100_836, 610, 9_742)
    assert (found.described, found.media["image"].present) == (7_289, 4_888)
    source = opened(packs, "ml-latest-small-mm", matrices={"video": "video_features.csv"})
    assert source.read_matrix(con, "video").values.shape == (4_751, 7)


@pytest.mark.parametrize("reader", ["folder", "mmrec"])
def test_tiktok(con, packs: Path, reader: str) -> None:
    options = (
        {} if reader == "mmrec" else {"matrices": {"image": "image_feat.npy", "audio": "audio_feat.npy"}}
    )
    source = opened(packs, "tiktok-mmssl", reader=reader, **options)
    found = source.describe(con)
    assert (found.rows, found.users, found.items) == (68_722, 9_308, 6_710)
    assert splits(con, source) == {"train": 59_541, "valid": 3_051, "test": 6_130}
    for name in ("image", "audio"):
        assert source.read_matrix(con, name).values.shape == (6_710, 128)


def test_baby_is_the_same_in_both_layouts(con, packs: Path) -> None:
    tables = [
        opened(packs, "amazon-baby-5core", reader=reader).interactions_sql(con)
        for reader in ("folder", "mmrec")
    ]
    assert splits(con, opened(packs, "amazon-baby-5core")) == {
        "train": 118_551,
        "valid": 21_682,
        "test": 20_559,
    }
    columns = "user_id, item_id, split"
    difference = con.sql(
        f"(SELECT {columns} FROM ({tables[0]}) EXCEPT ALL SELECT {columns} FROM ({tables[1]})) UNION ALL "
        f"(SELECT {columns} FROM ({tables[1]}) EXCEPT ALL SELECT {columns} FROM ({tables[0]}))"
    ).fetchall()
    assert difference == []
    found = facts(con, packs, "amazon-baby-5core", reader="mmrec")
    assert (found.rows, found.users, found.items) == (160_792, 19_445, 7_050)


def test_emotify(con, packs: Path) -> None:
    found = facts(con, packs, "emotify-audio")
    assert (found.rows, found.users, found.items, found.media["audio"].present) == (8_102, 750, 400, 400)
