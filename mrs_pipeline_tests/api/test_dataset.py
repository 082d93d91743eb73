"""What a dataset takes, what it makes of it, and the sentence for each wrong input."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from mrs_pipeline import Dataset
from mrs_pipeline.errors import InputError

COLUMNS = {"user": "customer", "item": "sku", "time": "at"}


def test_rows_are_numbered_by_sorted_id_and_sorted_by_user_and_time(table: pl.DataFrame) -> None:
    data = Dataset.of(table, **COLUMNS)
    assert data.users.values.to_list() == sorted(set(table["customer"]))
    assert data.items.values.to_list() == sorted(set(table["sku"]))
    expected = (
        table.sort("at")
        .unique(["customer", "sku"], keep="last")
        .select("customer", "sku", pl.col("at").dt.epoch("s"))
        .sort("customer", "at", "sku")
    )
    split = data.split("random", valid=0.0, test=0.0)
    assert split.train.rows() == expected.rows()


@pytest.mark.parametrize("convert", ["to_pandas", "to_arrow", "lazy", "to_dict"])
def test_tables_of_every_library_make_the_same_dataset(table: pl.DataFrame, convert: str) -> None:
    data, other = (Dataset.of(each, **COLUMNS) for each in (table, getattr(table, convert)()))
    assert other.rows.equals(data.rows)
    assert other.users.values.to_list() == data.users.values.to_list()


def test_categories_and_shuffled_rows_change_nothing(table: pl.DataFrame) -> None:
    data = Dataset.of(table, **COLUMNS)
    frame = table.with_columns(pl.col("customer").cast(pl.Categorical)).reverse()
    assert Dataset.of(frame, **COLUMNS).rows.equals(data.rows)


def test_neither_times_nor_ratings_are_needed_and_both_are_used(table: pl.DataFrame) -> None:
    bare = Dataset.of({"user_id": [3, 1, 1], "item_id": ["b", "b", "a"]})
    assert bare.rows.rows() == [(0, 0), (0, 1), (1, 1)]
    liked = Dataset.of(table, **COLUMNS, rating="stars", min_rating=4, deduplicate="none")
    assert len(liked.rows) == table.filter(pl.col("stars") >= 4).height


def test_a_split_of_ones_own_is_taken_over() -> None:
    frame = {"user_id": [1, 1, 1], "item_id": [5, 6, 7], "part": ["train", "test", "valid"]}
    data = Dataset.of(frame, split="part")
    assert [part["item_id"].to_list() for part in (data.train, data.valid, data.test)] == [[5], [7], [6]]


def test_arrays_and_tables_are_aligned_by_id_and_what_lacks_is_masked(dataset: Dataset) -> None:
    matrix = dataset.features["text"]
    assert matrix.present.sum() == 27
    assert not matrix.values[~matrix.present].any()
    ids = dataset.items.values.gather(np.flatnonzero(matrix.present)[::-1])
    rows = matrix.values[matrix.present][::-1]
    wide = pl.DataFrame({"sku": ids, **{f"f{at}": rows[:, at] for at in range(4)}})
    vectors = pl.DataFrame({"sku": ids, "vector": rows.tolist()})
    for table in (wide, wide.to_pandas(), vectors, vectors.cast({"vector": pl.Array(pl.Float32, 4)})):
        again = dataset.with_features("text", table).features["text"]
        assert np.array_equal(again.values, matrix.values)
        assert np.array_equal(again.present, matrix.present)


def test_null_rows_are_missing(dataset: Dataset) -> None:
    first, second = dataset.items.values[0], dataset.items.values[1]
    table = pl.DataFrame({"sku": [first, second], "vector": [[1.0, 2.0], None]})
    assert dataset.with_features("image", table).features["image"].present.sum() == 1


def test_texts_and_media_go_through_an_encoder(dataset: Dataset, tmp_path: Any) -> None:
    ids = dataset.items.values
    words = ["red shoe", "blue shoe", "red hat", "blue hat"]
    texts = pl.DataFrame({"sku": ids[:20].reverse(), "title": [words[at % 4] for at in range(20)]})
    with_texts = dataset.with_features("text", texts, encoder="tfidf_svd", columns=["title"], dimensions=3)
    matrix = with_texts.features["text"]
    assert matrix.present[:20].all() and not matrix.present[20:].any()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at in (0, 4):
        Image.new("RGB", (40, 40), (60 * at, 10, 10)).save(folder / f"{ids[at]}.png")
    by_name = dataset.with_features("image", folder, encoder="color_gradient").features["image"]
    assert np.flatnonzero(by_name.present).tolist() == [0, 4]
    paths = pl.DataFrame({"sku": [ids[4], ids[0]], "image": [f"{ids[4]}.png", f"{ids[0]}.png"]})
    by_path = dataset.with_features("image", paths, folder=folder, encoder="color_gradient").features["image"]
    assert np.array_equal(by_path.values, by_name.values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"user": "buyer"}, "the interactions has no column 'buyer'; it has customer, sku, at, stars"),
        ({"item": "customer"}, "must name different columns"),
        ({"rating": "stars"}, "give both or neither"),
        ({"rating": "stars", "min_rating": 9}, "the interactions have no row"),
        ({"time": "customer"}, "the column 'customer'|must name different columns"),
        ({"deduplicate": "some"}, "deduplicate='some' is none of last, first and none"),
        ({"items": ["x"]}, "is of type String, but the ids that are known are Int64"),
        ({"items": pl.DataFrame({"article": [1]})}, "the items has no column 'sku'"),
    ],
)
def test_wrong_columns_are_one_sentence(table: pl.DataFrame, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Dataset.of(table, **{**COLUMNS, **change})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (3, "the interactions must be a Polars, pandas or Arrow table or a dictionary of columns, not int"),
        ({"user_id": [1, None], "item_id": [1, 2]}, "'user_id' holds 1 missing values, the first in row 1"),
        ({"user_id": [1.0, float("nan")], "item_id": [1, 2]}, "holds 1 missing values"),
        ({"user_id": [[1], [2]], "item_id": [1, 2]}, "is of type List"),
        (pd.DataFrame({"user_id": [1, "a"], "item_id": [1, 2]}), "give each column one type"),
    ],
)
def test_wrong_values_are_one_sentence(table: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Dataset.of(table)


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (["a", "b"], "cannot be ordered as time"),
        ([1, None], "1 missing times"),
        ([1.0, float("inf")], "cannot be ordered"),
    ],
)
def test_wrong_times_are_one_sentence(times: list[Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Dataset.of({"user_id": [1, 2], "item_id": [1, 2], "t": times}, time="t")


@pytest.mark.parametrize(
    ("modality", "source", "options", "sentence"),
    [
        ("smell", np.ones((1, 2)), {"ids": [3]}, "no modality 'smell'; there are text, image, audio, video"),
        ("text", np.ones((1, 2)), {}, "an array needs `ids=`"),
        ("text", np.ones(2), {"ids": [3, 10]}, "must be a table of numbers"),
        ("text", np.ones((2, 2)), {"ids": [3]}, "has 2 rows, but 1 ids"),
        ("text", np.ones((2, 2)), {"ids": [3, 3]}, "two rows for item 3"),
        ("text", np.ones((1, 2)), {"ids": [4]}, "none of its 1 ids is an item"),
        ("text", np.ones((1, 2)), {"ids": ["3"]}, "is of type String"),
        ("text", np.array([[1.0, np.nan]]), {"ids": [3]}, "the row of item 3 is partly NaN"),
        ("text", pl.DataFrame({"sku": [3], "title": ["a"]}), {}, "name an `encoder=` for texts"),
        ("text", pl.DataFrame({"sku": [3]}), {}, "there is no other column"),
        ("text", pl.DataFrame({"sku": [3, 10], "v": [[1.0], [1.0, 2.0]]}), {}, "differ in length"),
        ("text", pl.DataFrame({"item": [3]}), {}, "has no column 'sku'"),
        ("text", np.ones((1, 2)), {"ids": [3], "columns": ["x"]}, "columns= is a setting of an encoder"),
        ("image", "nowhere", {}, "a folder needs an `encoder=`"),
        ("image", "nowhere", {"encoder": "color_gradient"}, "there is no folder nowhere"),
        ("image", "nowhere", {"encoder": "colour"}, "there is no encoder 'colour'"),
        ("image", "nowhere", {"encoder": "color_gradient", "sizes": 3}, "sizes: Extra inputs"),
        (
            "image",
            pl.DataFrame({"sku": [3], "image": ["a"]}),
            {"encoder": "color_gradient"},
            "need `folder=`",
        ),
        (
            "text",
            pl.DataFrame({"sku": [3], "t": ["a"]}),
            {"encoder": "tfidf_svd"},
            "reads the item column 'title'",
        ),
    ],
)
def test_wrong_features_are_one_sentence(
    dataset: Dataset, modality: str, source: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        dataset.with_features(modality, source, **options)


@pytest.mark.parametrize(
    ("strategy", "options", "sentence"),
    [
        ("by_chance", {}, "split, strategy: Input should be"),
        ("random", {"share": 0.1}, "split, share: Extra inputs"),
        ("global_time", {}, "needs times"),
        ("given", {}, "needs a column 'split'"),
    ],
)
def test_a_split_that_cannot_be_made_is_one_sentence(
    strategy: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Dataset.of({"user_id": [1, 1], "item_id": [1, 2]}).split(strategy, **options)


def test_an_unsplit_dataset_says_so() -> None:
    with pytest.raises(InputError, match="not split yet"):
        _ = Dataset.of({"user_id": [1, 1], "item_id": [1, 2]}).train
