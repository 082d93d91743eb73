"""The kinds behind the cases: ratings, numbers of time, outliers, identifiers, encodings, headers, features, media."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Inspection, Overrides, inspect_folder
from mrs_pipeline.ingest.inspection.headers import looks_like_data
from mrs_pipeline_tests.ingest.cases import EACH, ITEMS, ROWS, catalogue, every, log

NUMBER = pl.int_range(pl.len())
EPOCH = datetime(1970, 1, 1)


def found(root: Path, rows: pl.DataFrame, **overrides: object) -> Inspection:
    rows.write_csv(root / "interactions.csv")
    return inspect_folder(root, Overrides(**overrides))  # type: ignore[arg-type]


def has(inspection: Inspection, *parts: str) -> bool:
    return any(all(part in line for part in parts) for line in inspection.findings)


def rated(values: list[float]) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return log().with_columns(rating=pl.Series(rng.choice(values, ROWS)))


@pytest.mark.parametrize(
    ("values", "kind", "rule"),
    [
        ([1, 2, 3, 4, 5], "stars", {"min_rating": 4}),
        ([0.5, 3.0, 3.5, 4.5, 5.0], "stars", {"min_rating": 4.5}),
        (list(range(1, 11)), "stars", {"min_rating": 8}),
        ([0, 1], "thumbs", {"min_rating": 1}),
        ([-1, 1], "thumbs", {"min_rating": 1}),
        ([-8.5, -2.25, 1.5, 7.75], "scores around zero", {"min_rating": 1.5}),
        ([1, 2, 3, 4, 5, 99], "stars", {"min_rating": 4, "unrated": [99]}),
        ([-1, 1, 5, 8, 10], "stars", {"min_rating": 8, "unrated": [-1]}),
        ([1] * 60 + [2] * 20 + [3, 4, 7, 12, 31], "counts", {}),
        ([3, 5, 700, 12_000], "counts", {}),
        (np.linspace(0.001, 1, 300).tolist(), "a ratio", {"min_rating": 0.5}),
        (np.linspace(0.01, 3, 300).tolist(), "a ratio", {"min_rating": 1}),
        (np.linspace(30.5, 9000, 300).tolist(), "counts or amounts", {}),
        ([-7, -6, -5], "none of which is positive", {}),
        ([3], "one value", {}),
    ],
)
def test_what_ratings_look_like(tmp_path: Path, values: list[float], kind: str, rule: dict) -> None:
    inspection = found(tmp_path, rated(values))
    assert has(inspection, "ratings: ", kind), inspection.findings
    rules = inspection.settings["interactions"]
    assert {key: rules[key] for key in ("min_rating", "unrated") if key in rules} == rule
    assert not rule or has(inspection, f"of {ROWS} rows")


def test_a_threshold_that_is_asked_for(tmp_path: Path) -> None:
    inspection = found(tmp_path, rated([3, 5, 700, 12_000]), min_rating=700)
    assert inspection.settings["interactions"]["min_rating"] == 700


SECONDS = pl.col("timestamp")


@pytest.mark.parametrize(
    ("numbers", "unit", "first"),
    [
        (SECONDS, None, 2019),
        (SECONDS * 1000, None, 2019),
        (SECONDS * 1_000_000, "us", 2019),
        (SECONDS * 1_000_000_000, "ns", 2019),
        (SECONDS / 86400 + 25569, "excel", 2019),
        (SECONDS // 86400, "day", 2019),
        (2005 + NUMBER % 9, "year", 2005),
        (SECONDS * 1000 - 1_510_000_000_000, "ms", 1971),
    ],
)
def test_what_numbers_of_time_count(tmp_path: Path, numbers: pl.Expr, unit: str | None, first: int) -> None:
    inspection = found(tmp_path, log().with_columns(timestamp=numbers))
    assert inspection.settings["source"].get("time_unit") == unit
    assert has(inspection, "interactions: ", f"users, {first}-")
    assert (unit is None) != has(inspection, "`--time-unit`")


def test_small_numbers_are_an_order_and_no_dates(tmp_path: Path) -> None:
    inspection = found(tmp_path, log().with_columns(timestamp=NUMBER + 1))
    assert inspection.settings["window"] == {"every": "none"}
    assert has(inspection, "the times are small numbers and no dates", "`--time-unit`")


@pytest.mark.parametrize("odd", ["0001-01-01", "1900-01-01", "2001-01-01", "2098-01-01", "9999-12-31"])
def test_times_far_from_all_others_bend_no_window(tmp_path: Path, odd: str) -> None:
    dates = log().with_columns(pl.from_epoch("timestamp").dt.date().cast(pl.String))
    inspection = found(tmp_path, every(dates, 100, timestamp=pl.lit(odd)))
    assert inspection.settings["window"]["start"] == "2019-01"
    assert inspection.settings["window"]["end"] == "2019-05"
    assert has(inspection, "5 ", "lie far from all others", odd)
    bounds = inspection.settings["interactions"]
    assert ("earliest" in bounds, "latest" in bounds) == (odd < "2019", odd > "2019")


def test_a_long_history_has_no_outliers(tmp_path: Path) -> None:
    days = [EPOCH + timedelta(days=int(12_000 + 5000 * (row % EACH) / EACH)) for row in range(ROWS)]
    inspection = found(tmp_path, log().with_columns(timestamp=pl.Series(days)))
    assert not has(inspection, "far from all others")


@pytest.mark.parametrize(
    ("changed", "option", "what"),
    [
        (pl.lit("\u00a0") + pl.col("user_id"), "strip", "blanks"),
        (pl.lit("0") + pl.col("user_id"), "zeros", "leading zeros"),
        (pl.col("user_id") + ".0", "integers", "a trailing .0"),
        (pl.lit("U") + pl.col("user_id"), "lower", "capital letters"),
        (pl.lit("e\u0301") + pl.col("user_id"), "unicode", "Unicode form"),
    ],
)
def test_spellings_are_counted_named_and_merged_only_when_asked(
    tmp_path: Path, changed: pl.Expr, option: str, what: str
) -> None:
    base = {"lower": pl.lit("u"), "unicode": pl.lit("\u00e9")}.get(option, pl.lit("")) + pl.col("user_id")
    rows = log().with_columns(user_id=pl.when(NUMBER % 2 == 0).then(changed).otherwise(base))
    inspection = found(tmp_path, rows)
    assert has(inspection, "80 users look like 40", what, f"`--ids {option}`")
    assert has(inspection, f"{ROWS} in interactions.csv, 80 users")
    assert has(found(tmp_path, rows, ids=[option]), f"{ROWS} in interactions.csv, 40 users")


def test_ids_that_only_differ_between_the_files(tmp_path: Path) -> None:
    catalogue().with_columns(item_id=pl.col("item_id").str.zfill(6)).write_csv(tmp_path / "items.csv")
    inspection = found(tmp_path, log())
    assert has(
        inspection, "0 of 480 rows (0%) name an item", "'000000'", "`--ids zeros`", "would join 480 rows"
    )
    assert has(found(tmp_path, log(), ids=["zeros"]), "joins 480 of 480 rows")


@pytest.mark.parametrize("nobody", ["nan", "NaN", "None", "null", "NULL", " ", "\u3000", "<NA>", "N/A"])
def test_ids_that_name_nobody(tmp_path: Path, nobody: str) -> None:
    inspection = found(tmp_path, every(log(), 10, user_id=pl.lit(nobody)))
    assert has(inspection, "48 rows go to quarantine: 48 have no user and 0 no item")


def test_a_header_that_comes_again(tmp_path: Path) -> None:
    text = log().write_csv()
    (tmp_path / "interactions.csv").write_text(text + text)
    inspection = inspect_folder(tmp_path)
    assert has(inspection, "1 rows go to quarantine: 1 have no user and 1 no item", "the header once more")
    assert has(inspection, f"interactions: {2 * ROWS + 1} in interactions.csv, 40 users")


def test_an_unknown_word_of_ids(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^--ids: 'trim' is none of unicode, strip, lower, integers, zeros, literal"
    ):
        found(tmp_path, log(), ids=["trim"])


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-16", None), ("cp1252", "cp1252"), ("latin-1", "cp1252")]
)
def test_a_catalogue_in_another_encoding(tmp_path: Path, encoding: str, said: str | None) -> None:
    text = catalogue().with_columns(title=pl.lit("Café Größe")).write_csv()
    (tmp_path / "items.csv").write_bytes(text.encode(encoding))
    inspection = found(tmp_path, log())
    assert inspection.settings["source"].get("encoding") == said
    assert has(inspection, f"items: {ITEMS}, {ITEMS} titles")
    assert (said is None) != has(
        inspection, "items.csv is not UTF-8; it is read as cp1252", "`--encoding NAME`"
    )


def test_an_encoding_that_is_asked_for(tmp_path: Path) -> None:
    text = catalogue().with_columns(title=pl.lit("日本")).write_csv()
    (tmp_path / "items.csv").write_bytes(text.encode("shift_jis"))
    assert found(tmp_path, log(), encoding="shift_jis").settings["source"]["encoding"] == "shift_jis"


@pytest.mark.parametrize(
    ("rows", "data"),
    [
        ([["1", "34", "4"], ["1", "6", "5"]], True),
        ([["u1", "a", "x"], ["u1", "b", "y"]], True),
        ([["9", "B1", "2019-01-02"], ["8", "B2", "2019-01-03"]], True),
        ([["user_id", "item_id"], ["user_id", "item_id"]], False),
        ([["", "0", "1", "2", "3"], ["a", "1", "2", "3", "4"]], False),
        ([["kunde", "artikel"], ["a", "b"]], False),
        ([["2019", "2020", "2021", "2022"], ["1", "2", "3", "4"]], False),
    ],
)
def test_whether_a_first_row_is_a_header(rows: list[list[str]], data: bool) -> None:
    assert looks_like_data(rows) is data


def features(name: str, root: Path, **columns: object) -> None:
    pl.DataFrame({"item_id": range(ITEMS), **columns}).write_csv(root / name)


def test_tables_of_numbers_that_are_no_features(tmp_path: Path) -> None:
    catalogue().write_csv(tmp_path / "items.csv")
    features("links.csv", tmp_path, imdb=range(ITEMS), tmdb=range(ITEMS))
    features("video_stats.csv", tmp_path, views=range(ITEMS), likes=range(ITEMS))
    scores = {"item_id": [0, 0, 1, 1], "tag_id": [1, 2, 1, 2], "relevance": [0.1, 0.2, 0.3, 0.4]}
    pl.DataFrame(scores).write_csv(tmp_path / "genome-scores.csv")
    inspection = found(tmp_path, log())
    assert "matrices" not in inspection.settings["source"]
    assert [each["encoder"] for each in inspection.settings["features"]] == ["tfidf_svd"]
    assert has(inspection, "video_stats.csv holds whole numbers (views, likes), which are no features")


def test_two_feature_sets_of_one_modality(tmp_path: Path) -> None:
    catalogue().write_csv(tmp_path / "items.csv")
    features("image_features.csv", tmp_path, a=[0.5] * ITEMS, b=[1.5] * ITEMS)
    np.save(tmp_path / "clip.npy", np.ones((ITEMS, 3), np.float32))
    assert has(
        found(tmp_path, log()), "clip.npy is ready features, but of what", "`--features clip.npy=image`"
    )
    inspection = found(tmp_path, log(), features={"clip.npy": "image"})
    assert inspection.settings["source"]["matrices"] == {"clip": "clip.npy", "image": "image_features.csv"}
    assert has(
        inspection, "image: models read image_clip, the first of its feature sets; also made: image_identity"
    )
    without = found(tmp_path, log(), without=["image"])
    assert [each["modality"] for each in without.settings["features"]] == ["text"]


def test_a_matrix_of_other_items_is_no_feature_set(tmp_path: Path) -> None:
    catalogue().write_csv(tmp_path / "items.csv")
    np.save(tmp_path / "audio_feat.npy", np.ones((ITEMS - 1, 3), np.float32))
    inspection = found(tmp_path, log())
    assert has(inspection, "no features from audio: audio_feat.npy has 29 rows")
    assert [each["modality"] for each in inspection.settings["features"]] == ["text"]


def test_what_is_not_seen_is_mentioned(tmp_path: Path) -> None:
    catalogue().write_csv(tmp_path / "items.csv")
    for name in ("u.item", "a.inter", "empty.csv"):
        (tmp_path / name).write_text("")
    for item in range(ITEMS):
        (tmp_path / "covers" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "covers" / "deep" / f"{item}.jpg").write_bytes(b"x")
    inspection = found(tmp_path, log())
    assert has(inspection, "not read: a.inter, u.item")
    assert has(inspection, "files left aside: empty.csv (is empty")
    assert has(inspection, f"image: files of {ITEMS} of {ITEMS} items")
    assert inspection.settings["source"]["media_folders"]["image"] == "covers"


def test_columns_named_in_another_script_or_like_the_lake_s_own(tmp_path: Path) -> None:
    columns = {name: ["x"] * ITEMS for name in ("标题", "价格", "user", "dataset")}
    catalogue(**columns).write_csv(tmp_path / "items.csv")
    assert has(found(tmp_path, log()), "attributes: 标题, 价格, item_user, item_dataset")


def test_a_column_that_is_said_not_to_be_the_time(tmp_path: Path) -> None:
    rows = log().with_columns(timestamp=pl.lit("some day"))
    with pytest.raises(InputError, match="`--time-unit` and `--time-column` of `mrs init`"):
        found(tmp_path, rows)
    inspection = found(tmp_path, rows, time_column="none")
    assert inspection.settings["source"]["interaction_columns"] == {"timestamp": None}
    assert has(inspection, "windows: none, no timestamps")


@pytest.mark.parametrize("present", [0, 3])
def test_a_column_called_image(tmp_path: Path, present: int) -> None:
    names = [f"{item}.jpg" for item in range(ITEMS)]
    catalogue(image=names).write_csv(tmp_path / "items.csv")
    for name in names[:present]:
        (tmp_path / name).write_bytes(b"x")
    inspection = found(tmp_path, log())
    modalities = [each["modality"] for each in inspection.settings["features"]]
    assert modalities == (["text", "image"] if present else ["text"])
    columns = inspection.settings["source"].get("item_columns", {})
    assert columns == ({} if present else {"image_link": "image"})
    assert (
        has(inspection, "27 named but not there")
        if present
        else has(inspection, "names no file in the folder")
    )


def test_since_when_items_exist(tmp_path: Path) -> None:
    catalogue().with_columns(release_date=pl.lit("2020-01-01")).write_csv(tmp_path / "items.csv")
    inspection = found(tmp_path, log())
    assert has(inspection, "`--item-field first_seen=release_date`")
    asked = found(tmp_path, log(), item_fields={"first_seen": "release_date"})
    assert asked.settings["source"]["item_columns"]["first_seen"] == "release_date"
    assert not has(asked, "first_seen=release_date`")
