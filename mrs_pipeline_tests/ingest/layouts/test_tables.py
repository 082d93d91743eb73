"""What comes out of each layout: the quirks that its files have, and the right value of each."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline_tests.ingest.layouts.conftest import Opened
from mrs_pipeline_tests.ingest.layouts.folders import (
    EVENTS,
    FOLDERS,
    ITEMS,
    TITLES,
    USERS,
    asin,
    features,
    of_part,
    part_of,
    write,
)

Made = Callable[..., Opened]

_ALL = len(EVENTS)
_LIKED = sum(event.rating > 1 for event in EVENTS)
ROWS = dict.fromkeys(FOLDERS, _ALL) | {
    "amazon-2023": _ALL + 1,
    "lastfm-1k": _ALL + 1,
    "gowalla": _ALL + 1,
    "pog": 2 * _ALL,
    "goodreads": _LIKED,
    "goodreads-csv": _LIKED,
    "kuairand": _LIKED,
    "steam-au": _LIKED + sum(event.rating > 1 for event in EVENTS if event.user == 0),
    "steam-200k": _ALL - 20,
    "mind": _ALL + 4 * (USERS - 1),
}
"""Rows that come out; the clicks of MMCTR are counted apart."""


@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in ("mmrec", "microlens-mmctr")])
def test_every_row_comes_out_and_joins(name: str, made: Made) -> None:
    opened = made(name)
    rows, items = opened.interactions, opened.items
    assert rows.height == ROWS[name]
    assert rows["user_id"].n_unique() == USERS
    assert rows.null_count().select("user_id", "item_id").row(0) == (0, 0)
    assert set(rows["item_id"]) <= set(items["item_id"]), "every interaction has an item in the catalogue"
    assert items["item_id"].n_unique() == items.height


@pytest.mark.parametrize(
    ("name", "time"),
    [
        *((name, "day") for name in ("amazon-2014, ratings", "amazon-2014, reviews", "amazon-2018, ratings")),
        *(
            (name, "day")
            for name in ("amazon-2018, reviews", "hm", "netflix, four files", "netflix, a file a film")
        ),
        *((name, "day") for name in ("douban-dmsc", "steam-reviews")),
        *((name, "second") for name in ("ml-100k", "ml-1m", "ml-10m", "ml-csv", "yelp", "recbole", "douban")),
        *((name, "second") for name in ("pixelrec", "foursquare", "foursquare-world")),
        *((name, "millisecond") for name in ("amazon-2023-benchmark", "microlens, 50k", "microlens, 100k")),
        *(
            (name, None)
            for name in ("lattice", "mmssl", "diffmm", "lightgcn", "ncf", "cornac", "triples", "pog")
        ),
        *(
            (name, None)
            for name in ("steam-200k", "lastfm-2k", "lastfm-360k", "book-crossing", "goodreads-csv")
        ),
    ],
)
def test_times_are_those_of_the_events(name: str, time: str | None, made: Made) -> None:
    times = sorted(made(name).interactions["timestamp"].drop_nulls())
    kept = [event.moment.replace(tzinfo=None) for event in EVENTS]
    expected = {
        None: [],
        "day": sorted(moment.replace(hour=0, minute=0, second=0) for moment in kept),
        "second": kept,
        "millisecond": [moment.replace(microsecond=7000) for moment in kept],
    }
    assert times == expected[time]


@pytest.mark.parametrize("name", ["amazon-2023-benchmark", "lattice", "mmssl", "diffmm"])
def test_given_splits_are_taken_as_they_are(name: str, made: Made) -> None:
    rows = made(name).interactions
    for part in ("train", "valid", "test"):
        assert rows.filter(pl.col("split") == part).height == len(of_part(part))


@pytest.mark.parametrize("name", ["lightgcn", "ncf", "kuairand", "kuairec"])
def test_a_tenth_validates_where_there_is_no_part_for_it(name: str, made: Made) -> None:
    splits = dict(made(name).interactions["split"].value_counts().iter_rows())
    held_out = splits["valid"] / (splits["train"] + splits["valid"])
    assert 0.03 < held_out < 0.2
    assert splits["test"] in (len(of_part("test")), _ALL - len(of_part("train")), _liked_tests())


def _liked_tests() -> int:
    return sum(event.rating > 1 for event in of_part("test"))


def test_ids_keep_their_zeros(made: Made) -> None:
    for name in ("amazon-2014, reviews", "amazon-2018, ratings", "cornac"):
        assert "0000000003" in set(made(name).items["item_id"])


def test_2014_and_2018_are_not_swapped(made: Made) -> None:
    for name in ("amazon-2014, ratings", "amazon-2018, ratings"):
        assert set(made(name).interactions["item_id"]) == {asin(item) for item in range(ITEMS)}


def test_amazon_2014_metadata_are_python_literals(made: Made) -> None:
    opened = made("amazon-2014, reviews")
    assert opened.item("0000000003") == {
        "item_id": "0000000003",
        "title": "Tom's & Ann's cup 3",
        "description": "a nice cup",
        "price": "7.5",
        "categories": "Baby|Cups",
        "image_url": "http://x/1.jpg",
    }
    assert opened.item(asin(ITEMS - 1)) == {"item_id": asin(ITEMS - 1)}  # reviewed, but not in the metadata
    assert opened.source.remarks() == [
        "items of the interactions without a row in meta_Baby.json.gz: 1; they are kept, without content"
    ]


def test_amazon_2018_metadata(made: Made) -> None:
    opened = made("amazon-2018, reviews")
    first = opened.item(asin(0))
    assert "title" not in first and "price" not in first  # the source of a page
    assert opened.item(asin(3)) == {
        "item_id": asin(3),
        "title": TITLES[3],
        "description": "first second f",
        "brand": "b",
        "main_category": "All Beauty",
        "categories": "Beauty|Soap",
        "price": "$3.17",
        "image_url": "https://x/1.jpg",
    }


def test_amazon_2023_joins_on_the_parent(made: Made) -> None:
    opened = made("amazon-2023")
    assert set(opened.interactions["item_id"]) == {asin(item) for item in range(ITEMS)}
    assert opened.items.height == ITEMS and opened.source.remarks() == []
    assert opened.item(asin(2))["description"] == "soft" and opened.item(asin(3))["description"] == "soft d"
    assert opened.item(asin(3))["image_url"] == "v"


def test_amazon_2023_other_names_of_the_time(tmp_path: Path, opened: Made) -> None:
    row = '{"rating": 5, "parent_asin": "P", "asin": "Q", "user_id": "U", "helpful_vote": 0, '
    row += '"sort_timestamp": 1588687728923}'
    write(tmp_path, "raw/review_categories/All_Beauty.jsonl", row + "\n")
    write(tmp_path, "raw/meta_categories/meta_All_Beauty.jsonl", '{"parent_asin": "P", "title": "T"}\n')
    found = opened(tmp_path, "amazon-2023")
    assert found.interactions.row(0)[1:4] == ("P", datetime(2020, 5, 5, 14, 8, 48, 923000), 5.0)
    assert found.item("P")["title"] == "T"


def test_films_of_movielens(made: Made) -> None:
    assert made("ml-100k").item("8") == {
        "item_id": "8",
        "title": "Café 7 (1967)",
        "year": "1967",
        "genres": "Action|Adventure|Thriller",
        "release_date": "01-Jan-1995",
        "imdb_url": "http://x",
    }
    assert made("ml-1m").item("3")["title"] == "Café :: amber moor (1995)"
    assert made("ml-1m").item("3")["genres"] == "Adventure|Children's"
    ten = made("ml-10m").item("2")
    assert (ten["title"], ten["tags"]) == ("Café 1 (1995)", "a::b|funny")
    csv = made("ml-csv")
    assert csv.item("2") == {
        "item_id": "2",
        "title": "American President 1, The (1995)",
        "year": "1995",
        "genres": "Comedy|Drama",
        "imdb_id": "0113497",
        "tmdb_id": "8844",
        "tags": "funny",
    }
    assert "genres" not in csv.item(str(ITEMS))


def test_half_stars(made: Made) -> None:
    assert set(made("ml-10m").interactions["rating"]) == {0.5, 1.5, 2.5, 3.5, 4.5}


def test_titles_of_microlens(made: Made) -> None:
    assert made("microlens, 50k").item("8") == {
        "item_id": "8",
        "title": "a, b 7",
        "likes": "10000",
        "views": "44000",
    }
    assert made("microlens, 50k").item("3")["image"] == "MicroLens-50k_covers/3.jpg"
    larger = made("microlens, 100k")
    assert larger.item("7") == {
        "item_id": "7",
        "title": "a, b 6",
        "tags": "dance|music",
        "likes": "10000",
        "views": "44000",
    }


def test_row_n_of_microlens_features_is_item_n_plus_one(made: Made, con: duckdb.DuckDBPyConnection) -> None:
    matrix = made("microlens, 100k").source.read_matrix(con, "image")
    assert matrix.item_ids == tuple(str(item + 1) for item in range(ITEMS))


def test_microlens_sequences_without_times(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "MicroLens-50k_pairs.tsv", "1\t7 9 3\n2\t7\n")
    rows = opened(tmp_path, "microlens").interactions
    assert rows.select("user_id", "item_id").rows() == [("1", "7"), ("1", "9"), ("1", "3"), ("2", "7")]


def test_clicks_and_earlier_items_of_mmctr(made: Made) -> None:
    opened = made("microlens-mmctr")
    rows = opened.interactions
    assert "0" not in set(rows["item_id"]) and "0" not in set(opened.items["item_id"])
    clicks = {(str(each.user + 1), str(each.item + 1)) for each in EVENTS if each.rating > 1}
    assert clicks <= set(rows.select("user_id", "item_id").rows())
    assert opened.item("3") == {"item_id": "3", "tags": "1|2"}


def test_mind_noon_histories_and_quotes(tmp_path: Path, opened: Made) -> None:
    write(
        tmp_path,
        "behaviors.tsv",
        "1\tU10\t11/11/2019 12:05:58 PM\tN1 N2\tN3-1 N4-0\n2\tU10\t11/11/2019 12:05:58 AM\tN1 N2\tN4-1\n"
        "3\tU11\t11/11/2019 1:05:58 PM\t\tN4-1 N3-1\n",
    )
    entities = '[{"Label": "A", "WikidataId": "Q1"}, {"Label": "B", "WikidataId": "Q2"}]'
    write(
        tmp_path,
        "news.tsv",
        f'N3\tsports\tnfl\tHe said "go\t\thttps://x\t{entities}\t\nN4\ta\tb\tt\tlong\tu\t[]\t[]\n',
    )
    found = opened(tmp_path, "mind")
    rows = found.interactions.select("user_id", "item_id", "timestamp").rows()
    assert rows[:4] == [
        ("U10", "N3", datetime(2019, 11, 11, 12, 5, 58)),
        ("U10", "N4", datetime(2019, 11, 11, 0, 5, 58)),
        ("U11", "N4", datetime(2019, 11, 11, 13, 5, 58)),
        ("U11", "N3", datetime(2019, 11, 11, 13, 5, 58)),
    ]
    assert sorted(rows[4:]) == [("U10", "N1", None), ("U10", "N2", None)]
    assert found.item("N3")["title"] == 'He said "go' and found.item("N3")["title_entities"] == "Q1|Q2"
    assert found.item("N4")["description"] == "long" and "title_entities" not in found.item("N4")


def test_mind_early_copies_without_an_impression_id(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "behaviors.tsv", "U10\t11/11/2019 9:05:58 AM\tN1\tN3-1 N4-0\n")
    write(tmp_path, "news.tsv", "N3\tsports\tnfl\tt\ta\tu\t[]\t[]\n")
    assert opened(tmp_path, "mind").interactions["item_id"].to_list() == ["N3", "N1"]


def test_mind_parts(made: Made) -> None:
    rows = made("mind").interactions
    dated = rows.filter(pl.col("timestamp").is_not_null())
    assert dated.filter(pl.col("split") == "train").height == len(of_part("train"))
    held_out = dated.filter(pl.col("split") != "train").group_by("user_id").agg(pl.col("split").n_unique())
    assert held_out["split"].to_list() == [1] * USERS  # a user either validates or tests
    assert set(rows.filter(pl.col("timestamp").is_null())["split"]) == {"train"}


def test_mind_without_labels(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "behaviors.tsv", "1\tU10\t11/11/2019 9:05:58 AM\tN1\tN3 N4\n")
    write(tmp_path, "news.tsv", "N3\tsports\tnfl\tt\ta\tu\t[]\t[]\n")
    with pytest.raises(
        InputError, match=r"^behaviors.tsv: the labels of the impressions are withheld; add the train"
    ):
        opened(tmp_path, "mind")


def test_articles_of_hm(made: Made) -> None:
    assert made("hm").item("0102000017") == {
        "item_id": "0102000017",
        "title": "Plain hat 2",
        "description": "Wool, warm",
        "image": "images/010/0102000017.jpg",
        "product_code": "0102000",
        "product_type_name": "Hat",
    }


def test_articles_without_their_zero(tmp_path: Path, opened: Made) -> None:
    header = "t_dat,customer_id,article_id,price,sales_channel_id\n"
    write(tmp_path, "transactions_train.csv", f"{header}2019-01-05,00a1,108775015,0.02,2\n")
    with pytest.raises(
        InputError, match=r"^transactions_train.csv, line 2: article_id 108775015 has lost its leading"
    ):
        opened(tmp_path, "hm")


def test_yelp_ids_categories_and_photos(made: Made) -> None:
    opened = made("yelp")
    assert "-u3" in set(opened.interactions["user_id"])
    assert opened.item("_b3")["image"] == "photos/pfood.jpg"
    assert {row["categories"] for row in opened.items.to_dicts()} == {"Cafes|Food"}


def test_recbole_fields(made: Made) -> None:
    assert made("recbole").item("7") == {
        "item_id": "7",
        "title": 'Toy "Story 7',
        "release_year": "1995",
        "class": "Fun|Family",
    }


def test_recbole_parts_and_labels(tmp_path: Path, opened: Made) -> None:
    for part, row in (("train", "1\t007\t1\n1\t008\t0\n"), ("valid", "1\t009\t1\n"), ("test", "2\t007\t1\n")):
        write(tmp_path, f"x.{part}.inter", f"user_id:token\titem_id:token\tlabel:float\n{row}")
    rows = (
        opened(tmp_path, "recbole")
        .interactions.select("user_id", "item_id", "split")
        .sort("item_id", "user_id")
    )
    assert rows.rows() == [("1", "007", "train"), ("2", "007", "test"), ("1", "009", "valid")]


def test_numbered_items_have_a_row_in_the_matrix(made: Made, con: duckdb.DuckDBPyConnection) -> None:
    opened = made("mmssl")
    assert opened.items.height == ITEMS + 1  # one that nobody has touched
    assert opened.source.read_matrix(con, "image").values.shape == (ITEMS + 1, 6)
    assert made("lattice").item("3")["original_id"] == asin(3)
    half = made("diffmm").source.read_matrix(con, "image").values
    assert half.dtype == np.float16


def test_a_matrix_of_other_items_is_refused(
    tmp_path: Path, opened: Made, con: duckdb.DuckDBPyConnection
) -> None:
    write(tmp_path, "train.json", '{"0": [1, 2], "1": []}')
    write(tmp_path, "test.json", '{"0": [3]}')
    features(tmp_path, "image_feat.npy", rows=4)
    features(tmp_path, "text_feat.npy", rows=3)
    source = opened(tmp_path, "mmssl").source
    assert source.read_matrix(con, "image").item_ids == ("0", "1", "2", "3")
    with pytest.raises(InputError, match=r"^text_feat.npy has 3 rows, but"):
        source.read_matrix(con, "text")


def test_json_that_is_no_lists(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "train.json", '{"0": 5}')
    write(tmp_path, "test.json", "[1")
    features(tmp_path, "image_feat.npy", rows=4)
    with pytest.raises(InputError, match=r"^train.json is not one object from users to lists of items"):
        _ = opened(tmp_path, "mmssl").interactions
    write(tmp_path, "train.json", '{"0": [5]}')
    with pytest.raises(InputError, match=r"^test.json is not readable JSON \(.*\); download it again$"):
        _ = opened(tmp_path, "mmssl").interactions


def test_cornac_rows_follow_the_ids(made: Made, con: duckdb.DuckDBPyConnection) -> None:
    opened = made("cornac")
    matrix = opened.source.read_matrix(con, "image")
    assert matrix.item_ids[:2] == (asin(ITEMS - 1), asin(ITEMS - 2))
    assert opened.item(asin(4))["description"] == "soft shoes 4"


def test_games_of_steam(made: Made, tmp_path: Path, opened: Made) -> None:
    assert made("steam-au").item("3")["title"] == "Tom's Game 3"
    assert made("steam-reviews").item("3")["genres"] == "Action|Indie"
    assert made("steam-200k").item("Game 3, The")["title"] == "Game 3, The"
    write(
        tmp_path / "reviews",
        "australian_user_reviews.json",
        "{'user_id': 'n1', 'reviews': [{'posted': 'Posted November 5, 2011.', 'item_id': '10', 'recommend': True}, "
        "{'posted': 'Posted February 3.', 'item_id': '20', 'recommend': True}, "
        "{'posted': 'Posted February 3.', 'item_id': '30', 'recommend': False}]}\n",
    )
    rows = opened(tmp_path / "reviews", "steam-au").interactions
    assert rows.select("item_id", "timestamp").rows() == [("10", datetime(2011, 11, 5)), ("20", None)]


def test_artists_of_lastfm(made: Made) -> None:
    assert made("lastfm-2k").item("5") == {
        "item_id": "5",
        "title": 'The "Q" Band 4',
        "picture_url": "http://y",
        "tags": "metal|nü metal",
    }
    counted = made("lastfm-360k")
    assert counted.item('unknown "band" 4')["title"] == 'unknown "band" 4'
    assert counted.item("mbid-5")["title"] == 'unknown "band" 5'
    assert counted.interactions["rating"].null_count() == _ALL


def test_broken_lines_of_lastfm_keep_no_user(tmp_path: Path, opened: Made) -> None:
    good = f"{1:040x}\tm\tBand\t31\n"
    write(
        tmp_path,
        "usersha1-artmbid-artname-plays.tsv",
        good * 120 + f"sep 20, 2008\tm\tBand\t3\n{2:040x}\tm\tBand\tx\n",
    )
    rows = opened(tmp_path, "lastfm-360k").interactions
    assert rows.height == 122 and rows["user_id"].null_count() == 2


def test_watch_ratios_of_kuairec(made: Made) -> None:
    opened = made("kuairec")
    event = next(event for event in EVENTS if part_of(event) == "train")
    row = opened.interactions.filter(
        (pl.col("user_id") == str(event.user)) & (pl.col("item_id") == str(event.item))
    )
    assert row["rating"].to_list() == [event.rating - 1.5]
    assert row["timestamp"].to_list() == [event.moment.replace(tzinfo=None, microsecond=500_000)]
    tests = opened.interactions.filter(pl.col("split") == "test")
    assert tests["timestamp"].null_count() == tests.height
    assert opened.item("3") == {
        "item_id": "3",
        "title": "cover 3,caption 3",
        "categories": "3|9",
        "topics": "fun|cats",
        "first_level": "Pets",
        "second_level": "Cats",
        "third_level": "UNKNOWN",
    }


def test_the_random_log_alone_is_no_training(tmp_path: Path, opened: Made) -> None:
    write(
        tmp_path,
        "log_random_4_22_to_5_08_pure.csv",
        "user_id,video_id,time_ms,is_click\n0,1,1650485801301,1\n",
    )
    with pytest.raises(
        InputError, match=r"only videos shown at random are here, which are for testing; add log_standard"
    ):
        opened(tmp_path, "kuairand")


@pytest.mark.parametrize("name", ["netflix, four files", "netflix, a file a film"])
def test_films_of_netflix(name: str, made: Made) -> None:
    rows = made(name).interactions
    pairs = {(str(each.user + 7), str(each.item + 1), float(each.rating)) for each in EVENTS}
    assert set(rows.select("user_id", "item_id", "rating").rows()) == pairs
    titles = made("netflix, four files")
    assert titles.item("1") == {"item_id": "1", "title": "Strangers, At Café 0"}
    assert titles.item("2")["year"] == "2003"


def test_films_of_netflix_go_on_from_block_to_block(
    tmp_path: Path, opened: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrs_pipeline.ingest.layouts.netflix._BLOCK", 16)
    write(
        tmp_path, "combined_data_1.txt", "1:\r\n7001,3,2005-09-06\r\n8,4,2005-09-07\r\n2:\r\n5,4,2005-01-01"
    )
    rows = opened(tmp_path, "netflix").interactions.select("user_id", "item_id", "rating").rows()
    assert rows == [("7001", "1", 3.0), ("8", "1", 4.0), ("5", "2", 4.0)]
    write(tmp_path, "combined_data_1.txt", "1:\n7001,3,2005-09-06\n8,4,2005-09-07\nrubbish\n")
    with pytest.raises(
        InputError, match=r"^combined_data_1.txt, line 4: 'rubbish' is no `customer,rating,date` below"
    ):
        _ = opened(tmp_path, "netflix").interactions


def test_shelves_of_goodreads(made: Made) -> None:
    rows = made("goodreads").interactions
    event = next(event for event in EVENTS if event.rating > 2)
    row = rows.filter((pl.col("user_id") == f"8842{event.user}") & (pl.col("item_id") == str(event.item)))
    local = datetime.fromtimestamp(event.moment.timestamp() + 7 * 3600, UTC).replace(tzinfo=None)
    assert row.select("timestamp", "rating").rows() == [(local, float(event.rating))]
    assert rows["rating"].null_count() == sum(event.rating == 2 for event in EVENTS)
    assert rows["timestamp"].null_count() == 0  # date_added where there is no date_updated
    assert made("goodreads-csv").item("3")["title"] == TITLES[3]  # through the map


def test_goodreads_numbers_without_their_map(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "goodreads_interactions.csv", "user_id,book_id,is_read,rating,is_reviewed\n0,3,1,5,0\n")
    write(tmp_path, "goodreads_books.json.gz", b"")
    (tmp_path / "goodreads_books.json.gz").unlink()
    write(tmp_path, "goodreads_books_poetry.json", '{"book_id": "65"}\n')
    with pytest.raises(InputError, match=r"numbers its books by row; add book_id_map.csv"):
        opened(tmp_path, "goodreads-csv")


def test_books_of_book_crossing(made: Made) -> None:
    opened = made("book-crossing")
    assert opened.item("000000003X") == {
        "item_id": "000000003X",
        "title": 'Soft; "Tones" & Joe’s 3',
        "author": "M. J. R.",
        "year": "2002",
        "publisher": "B",
        "image_url": "u",
    }
    assert opened.interactions["rating"].null_count() == sum(event.rating <= 2 for event in EVENTS)


def test_ratings_of_douban(made: Made) -> None:
    ratings = made("douban").interactions["rating"]
    assert ratings.null_count() == _ALL - _LIKED and ratings.min() == 2.0


def test_places_and_outfits(made: Made) -> None:
    assert made("foursquare").item("aa3")["title"] == "Café & Bar"
    assert made("foursquare-world").item("aa3")["country"] == "US"
    assert made("gowalla").item("903")["latitude"] == "10.5"
    coat = made("pog").item("i3")
    assert (coat["title"], coat["image_url"]) == ("red, wool coat 3", "https://x/1.jpg")


def test_twins_of_pixelrec(made: Made) -> None:
    opened = made("pixelrec")
    assert opened.item("i3")["title"] == "a, b\nc" and opened.item("i3")["image"] == "covers/i3.jpg"


def test_a_ragged_line_is_named(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "u.data", "1\t2\t3\t881250949\n1\t2\t3\n")
    write(tmp_path, "u.item", "2|x|" + "|" * 21 + "\n")
    with pytest.raises(
        InputError, match=r"^u.data, line 2 cannot be read \(.*; correct the line or download the file"
    ):
        _ = opened(tmp_path, "ml-100k").interactions


def test_a_value_that_is_no_rating_is_named(tmp_path: Path, opened: Made) -> None:
    write(tmp_path, "ratings.dat", "1::2::5::978300760\n1::3::five::978300760\n")
    write(tmp_path, "movies.dat", "2::x::y\n")
    with pytest.raises(InputError, match=r"^ratings.dat, row 2, column rating: 'five' is not a number"):
        _ = opened(tmp_path, "ml-10m").interactions


def test_unreadable_literals_are_counted_and_many_are_refused(tmp_path: Path, opened: Made) -> None:
    row = "{'username': 'n1', 'product_id': '10', 'date': '2017-12-17'}\n"
    write(tmp_path, "steam_reviews.json", row * 150 + "{'username': __import__('os').getcwd()}\n")
    found = opened(tmp_path, "steam-reviews")
    assert found.interactions.height == 150
    assert found.source.remarks() == [
        "steam_reviews.json: 1 lines were left out, not readable (first: line 151)"
    ]
    write(tmp_path, "steam_reviews.json", row * 20 + "(" * 5000 + "\n")
    with pytest.raises(
        InputError, match=r"^steam_reviews.json: 1 of 21 lines are neither JSON nor a Python literal"
    ):
        _ = opened(tmp_path, "steam-reviews").interactions


def test_converted_tables_are_kept_until_the_files_change(tmp_path: Path, opened: Made) -> None:
    write(tmp_path / "raw", "ratings.dat", "1::2::5::978300760\n")
    write(tmp_path / "raw", "movies.dat", "2::x::y\n")
    kept = tmp_path / "home" / "data" / "converted"
    assert opened(tmp_path / "raw", "ml-10m").interactions.height == 1
    first = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert opened(tmp_path / "raw", "ml-10m").interactions.height == 1
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == first
    write(tmp_path / "raw", "ratings.dat", "1::2::5::978300760\n1::3::5::978300760\n")
    assert opened(tmp_path / "raw", "ml-10m").interactions.height == 2
    assert len(list(kept.glob("*.parquet"))) == len([path for path in first if path.suffix == ".parquet"])
