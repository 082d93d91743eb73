"""Real data, reduced, with the settings that are shipped: from the packs' files to a report."""

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

import polars as pl
import pytest
import yaml

import mrs_pipeline
from mrs_pipeline.storage.catalogue import query
from mrs_pipeline.storage.home import Home
from mrs_pipeline_tests.orchestration import homes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Asset job .* materializes assets"),
]

QUICK: Mapping[str, Any] = {
    "models": {"most_pop": None, "ease": None, "lightgcn": None},
    "training": {"epochs": 2, "patience": 2},
}
FIRST_YEAR, YEARS = "2018", ("2020", "2021")


def _shipped(name: str, **changed: Any) -> dict[str, Any]:
    """A shipped dataset's settings that reads the folder `pack` of its home, without trained encoders."""
    path = Path(mrs_pipeline.__file__).parent / "defs" / name / "defs.yaml"
    attributes = yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"]
    quick = {"features": [each for each in attributes["features"] if each["encoder"] != "auto"], **QUICK}
    return {**attributes, **quick, **changed, "source": {**attributes["source"], "path": "pack"}}


def _most_active(log: pl.DataFrame, users: int) -> pl.DataFrame:
    chosen = log.group_by("user_id").len().sort("len", "user_id", descending=True).head(users)
    return log.join(chosen.select("user_id"), on="user_id", how="semi")


def _write(home: Home, log: pl.DataFrame, items: pl.DataFrame, pack: Path) -> None:
    """The reduced pack below a home, with the pictures that its items name."""
    root = home.root / "pack"
    (root / "images").mkdir(parents=True)
    log.write_csv(root / "interactions.csv")
    items.write_csv(root / "items.csv")
    for image in items["image"].drop_nulls():
        copyfile(pack / image, root / image)


@pytest.fixture(scope="module")
def wines(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Wines over four years, the last two of them scored: a backfill of yearly windows."""
    pack = packs / "xwines-slim"
    window = {"every": "year", "start": FIRST_YEAR, "end": YEARS[-1], "score_from": YEARS[0]}
    home = homes.make(tmp_path_factory.mktemp("wines") / "home", _shipped("xwines", window=window))
    log = pl.read_csv(pack / "interactions.csv")
    log = log.filter(pl.from_epoch("timestamp").dt.year() >= int(FIRST_YEAR))
    items = pl.read_csv(pack / "items.csv", infer_schema_length=None)
    _write(home, _most_active(log, 300), items, pack)
    homes.run(home, YEARS, dataset="xwines")
    return home


@pytest.fixture(scope="module")
def films(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Films with plots, posters and descriptors of their trailers, split at random."""
    pack = packs / "ml-latest-small-mm"
    home = homes.make(tmp_path_factory.mktemp("films") / "home", _shipped("movielens"))
    log = _most_active(pl.read_csv(pack / "interactions.csv"), 60)
    known = log.group_by("item_id").len().filter(pl.col("len") >= 18).select("item_id")
    log = log.join(known, on="item_id", how="semi")
    items = pl.read_csv(pack / "items.csv", infer_schema_length=None).join(known, on="item_id", how="semi")
    _write(home, log, items, pack)
    trailers = pl.read_csv(pack / "video_features.csv").join(known, on="item_id", how="semi")
    trailers.write_csv(home.root / "pack" / "video_features.csv")
    homes.run(home, ["full"], dataset="movielens")
    return home


def test_wines_are_scored_year_by_year(wines: Home) -> None:
    board = query(wines, 'SELECT "window", model, "recall@20", protocol FROM eval.leaderboard ORDER BY ALL')
    assert set(board.select("window", "model").rows()) == {
        (year, model) for year in YEARS for model in QUICK["models"]
    }
    assert board["recall@20"].is_between(0, 1).all()
    assert (board["recall@20"] > 0).any()
    assert board["protocol"].str.contains("walk-forward by year").all()


def test_each_year_learns_from_all_years_before_it(wines: Home) -> None:
    spans = query(
        wines,
        """
        SELECT "window", split, min(year(timestamp)) AS first, max(year(timestamp)) AS last
        FROM core.splits GROUP BY ALL
        """,
    )
    for year, split, first, last in spans.iter_rows():
        if split == "test":
            assert first == last == int(year)
        else:
            assert first >= int(FIRST_YEAR)
            assert last < int(year)
    rows = query(
        wines,
        'SELECT count(*) AS rows FROM core.splits WHERE split = \'train\' GROUP BY "window" ORDER BY "window"',
    )
    assert rows["rows"].is_sorted()


def test_wines_end_in_a_report(wines: Home) -> None:
    page = (wines.reports / "xwines" / "report.html").read_text(encoding="utf-8")
    assert all(year in page for year in YEARS)
    coverage = query(wines, "SELECT avg(present::INT) FROM features.xwines_image_color_gradient").item()
    assert 0 < coverage < 0.3  # one label in ten


def test_films_use_plots_posters_and_trailers(films: Home) -> None:
    items = query(films, "SELECT item_id, image FROM core.items")
    present = {
        name: query(films, f"SELECT sum(present::INT) FROM features.movielens_{name}").item()
        for name in ("text_tfidf_svd", "image_color_gradient", "video_trailer")
    }
    matrix = pl.read_csv(films.root / "pack" / "video_features.csv", schema_overrides={"item_id": pl.String})
    trailers = items.join(matrix, on="item_id", how="semi").height
    assert present == {
        "text_tfidf_svd": items.height,
        "image_color_gradient": items["image"].count(),
        "video_trailer": trailers,
    }
    assert 0 < trailers < items.height
    assert 0 < items["image"].count() < items.height


def test_films_are_split_at_random_and_measured(films: Home) -> None:
    board = query(films, 'SELECT model, "window", protocol FROM eval.leaderboard')
    assert set(board["model"]) == set(QUICK["models"])
    assert set(board["window"]) == {"full"}
    assert board["protocol"].str.contains("split: random").all()
    shares = query(
        films,
        "SELECT split, count(*) / sum(count(*)) OVER () AS share FROM core.splits GROUP BY split ORDER BY split",
    )
    assert dict(shares.rows()) == {
        "test": pytest.approx(0.1, abs=0.02),
        "train": pytest.approx(0.8, abs=0.03),
        "valid": pytest.approx(0.1, abs=0.02),
    }


def test_films_end_in_a_report_with_their_posters(films: Home) -> None:
    page = (films.reports / "movielens" / "report.html").read_text(encoding="utf-8")
    assert "data:image/" in page  # the posters of sample lists
    assert "<svg" in page
    assert 'src="http' not in page


def test_what_is_known_of_films_can_be_asked_in_sql(films: Home) -> None:
    relations = query(films, "SELECT DISTINCT relation_name FROM core.knowledge ORDER BY ALL")
    assert relations["relation_name"].to_list() == ["decade", "genre", "tag"]
    shared = query(
        films,
        """
        SELECT count(*) AS films, count(items.item_id) AS known, count(DISTINCT tail) AS genres
        FROM core.knowledge LEFT JOIN core.items ON items.item = head AND items.item_id = head_name
        WHERE relation_name = 'genre' AND items.category LIKE '%' || tail_name || '%'
        """,
    ).row(0, named=True)
    assert shared["films"] == shared["known"] > 100
    assert shared["genres"] > 5
    unknown = query(films, "SELECT count(*) FROM core.knowledge WHERE tail_name = '(no genres listed)'")
    assert unknown.item() == 0


def test_what_is_known_of_wines_follows_the_catalogue_of_each_year(wines: Home) -> None:
    rows = query(
        wines,
        """
        SELECT "window", count(DISTINCT head) AS wines, count(DISTINCT relation_name) AS relations
        FROM core.knowledge GROUP BY ALL ORDER BY ALL
        """,
    )
    items = query(wines, 'SELECT "window", count(*) AS wines FROM core.items GROUP BY ALL ORDER BY ALL')
    assert rows["window"].to_list() == list(YEARS)
    assert (rows["relations"] == 5).all()
    assert (rows["wines"] > 0.9 * items["wines"]).all()
