"""A team's own folder without any YAML, made from a real pack under other names: `mrs init`, `mrs run`, a report."""

from pathlib import Path
from shutil import copyfile

import polars as pl
import pytest

from mrs_pipeline_tests.cli.shops import make_home

PICTURES = 40
FIRST_TITLE = (
    "SELECT title FROM serving.recommendations JOIN core.items USING (dataset, item) "
    "WHERE user_id = 'c1' AND model = 'ease' AND rank = 1"
)
MODELS = ("most_pop", "ease", "lightgcn", "mgcn")


@pytest.fixture
def films(packs: Path, tmp_path: Path) -> Path:
    """The busiest 120 users and 150 films of MovieLens, forty of them with a poster."""
    pack, folder = packs / "ml-latest-small-mm", tmp_path / "My Films"
    (folder / "covers").mkdir(parents=True)
    ratings = pl.read_csv(pack / "interactions.csv", infer_schema_length=None)
    users, items = (
        ratings.group_by(column).len().sort("len", column, descending=True)[column].head(most).to_list()
        for column, most in (("user_id", 120), ("item_id", 150))
    )
    ratings.filter(pl.col("user_id").is_in(users) & pl.col("item_id").is_in(items)).select(
        buyer=pl.format("c{}", "user_id"), article=pl.col("item_id"), stars="rating", when="timestamp"
    ).write_csv(folder / "sales.csv")
    films = (
        pl.read_csv(pack / "items.csv", infer_schema_length=None)
        .filter(pl.col("item_id").is_in(items))
        .sort("item_id")
        .select(article="item_id", label="title", blurb="description", genre="category", photo="image")
    )
    with_poster = films.drop_nulls("photo").head(PICTURES)
    for photo in with_poster["photo"]:
        copyfile(pack / photo, folder / "covers" / Path(photo).name)
    films.with_columns(
        photo=pl.when(pl.col("photo").is_in(with_poster["photo"].to_list())).then(
            pl.col("photo").str.replace("images/", "covers/")
        )
    ).write_csv(folder / "shelf.csv")
    return folder


@pytest.mark.slow
def test_from_a_strange_folder_to_a_report(films: Path, tmp_path: Path) -> None:
    mrs = make_home(tmp_path / "home")
    asked = mrs("init", str(films), "--name", "films")
    assert asked.code == 1
    assert asked.sentence == (
        "sales.csv: cannot tell which column is the user and which the item (columns: buyer, article, stars, when); "
        "run again with `--user-column NAME --item-column NAME`"
    )
    assert not (mrs.root / "defs" / "films").exists()

    mapping = ("--user-column", "buyer", "--item-column", "article")
    fields = ("--item-field", "title=label", "--item-field", "image=photo")
    made = mrs("init", str(films), "--name", "films", *mapping, *fields)
    assert made.code == 0, made.err
    assert "user_id = buyer, item_id = article, timestamp = when, rating = stars" in made.out
    assert f"image: files of {PICTURES} of 150 items" in made.out
    with (mrs.root / "defs" / "films" / "defs.yaml").open("a") as defs:
        defs.write("  training: {epochs: 2, threads: 1}\n")

    ran = mrs("run", "films", "--models", ",".join(MODELS))
    assert ran.code == 0, ran.err
    board = mrs("query", "--csv", "SELECT model FROM eval.leaderboard ORDER BY model").out.split()[1:]
    assert board == sorted(MODELS)
    assert all(f" {model} " in ran.out for model in MODELS)
    page = (mrs.root / "data" / "reports" / "films" / "report.html").read_text()
    assert "films" in page and "data:image/jpeg" in page and "lightgcn" in page
    counted = mrs(
        "query", "--csv", "SELECT count(*), count(title), count(description), count(image) FROM raw.items"
    )
    rows, titles, described, pictures = map(int, counted.out.splitlines()[1].split(","))
    assert (rows, titles, pictures) == (150, 150, PICTURES) and described > 100
    first = mrs("query", "--csv", FIRST_TITLE).out.splitlines()[1].strip('"')
    assert first[:20] in mrs("recommend", "films", "c1", "--model", "ease", "-k", "1").out
