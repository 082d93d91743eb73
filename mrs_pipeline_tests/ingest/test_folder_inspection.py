"""What `mrs init` finds in a folder, and the settings that it proposes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from mrs_pipeline.errors import InputError
from mrs_pipeline.ingest.inspection import Inspection, Overrides, inspect_folder, to_yaml
from mrs_pipeline.ingest.inspection.columns import guess
from mrs_pipeline.ingest.opening import source_options
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.taxonomy import Axis


def events(
    users: int = 60, items: int = 40, each: int = 20, first: datetime = datetime(2020, 1, 1), days: int = 730
):
    """A dense log whose users come back over the whole time."""
    rng = np.random.default_rng(0)
    rows = [(user, item) for user in range(users) for item in rng.choice(items, each, replace=False)]
    times = [first + timedelta(days=int(day)) for day in rng.integers(0, days, len(rows))]
    return {
        "user": [f"u{user}" for user, _ in rows],
        "item": [int(item) for _, item in rows],
        "time": times,
        "rating": rng.choice([1, 2, 3, 4, 5], len(rows), p=[0.1, 0.1, 0.2, 0.3, 0.3]),
    }


def write(root: Path, name: str, columns: dict) -> None:
    pl.DataFrame(columns).write_csv(root / name)


def log(root: Path, name: str = "interactions.csv", **renamed: str) -> None:
    columns = events()
    write(root, name, {renamed.get(key, key): value for key, value in columns.items()})


@pytest.mark.parametrize(
    ("columns", "user", "item", "time"),
    [
        (["userId", "movieId", "rating", "timestamp"], "userId", "movieId", "timestamp"),
        (["reviewerID", "asin", "overall", "unixReviewTime"], "reviewerID", "asin", "unixReviewTime"),
        (["customer_id", "product_id", "date"], "customer_id", "product_id", "date"),
        (["uid", "iid", "ts"], "uid", "iid", "ts"),
        (["user", "item"], "user", "item", None),
    ],
)
def test_well_known_columns(columns: list[str], user: str, item: str, time: str | None) -> None:
    found = guess(columns, ("user_id", "item_id", "timestamp"))
    assert (found["user_id"], found["item_id"], found.get("timestamp")) == (user, item, time)


def test_a_folder_of_other_names(tmp_path: Path) -> None:
    log(tmp_path, "ratings.csv", user="userId", item="movieId", time="timestamp")
    write(tmp_path, "movies.csv", {"movieId": range(40), "title": ["x"] * 40, "genres": ["y"] * 40})
    write(tmp_path, "trailer_features.csv", {"movieId": range(30), "f1": [0.5] * 30, "f2": [1.5] * 30})
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "3.jpg").write_bytes(b"x")
    assert any(
        "trailer_features.csv is ready features, but of what" in line
        for line in inspect_folder(tmp_path).findings
    )
    found = inspect_folder(tmp_path, Overrides(features={"trailer_features.csv": "video"}))
    source = found.settings["source"]
    assert source == {
        "reader": "folder",
        "path": tmp_path.as_posix(),
        "interactions": "ratings.csv",
        "items": "movies.csv",
        "interaction_columns": {"user_id": "userId", "item_id": "movieId"},
        "item_columns": {"item_id": "movieId"},
        "matrices": {"trailer": "trailer_features.csv"},
    }
    assert found.settings["features"] == [
        {"modality": "text", "encoder": "tfidf_svd"},
        {"modality": "image", "encoder": "color_gradient"},
        {"modality": "video", "encoder": "identity", "matrix": "trailer", "name": "trailer"},
    ]
    proposed = [MODELS[name].spec for name in found.settings["models"]]
    axes = {cell.axis for spec in proposed for cell in spec.cells}
    assert len(proposed) == 12 and axes == set(Axis)
    assert any("image: files of 1 of 40 items" in line for line in found.findings)


def test_unrecognised_columns_ask_for_options(tmp_path: Path) -> None:
    write(tmp_path, "log.csv", {"kunde": ["a"], "artikel": ["b"]})
    with pytest.raises(InputError) as caught:
        inspect_folder(tmp_path)
    assert str(caught.value) == (
        "log.csv: cannot tell which column is the user and which the item (columns: kunde, artikel); run again with "
        "`--user-column NAME --item-column NAME`"
    )
    with pytest.raises(InputError, match=r"run again with `--item-column NAME`$"):
        inspect_folder(tmp_path, Overrides(user_column="kunde"))
    found = inspect_folder(tmp_path, Overrides(user_column="kunde", item_column="artikel", name="laden"))
    assert found.settings["name"] == "laden"
    assert found.settings["source"]["interaction_columns"] == {"user_id": "kunde", "item_id": "artikel"}


def test_a_wrong_override_names_the_columns(tmp_path: Path) -> None:
    log(tmp_path)
    with pytest.raises(
        InputError, match=r"^interactions.csv has no column 'x'; it has: user, item, time, rating$"
    ):
        inspect_folder(tmp_path, Overrides(user_column="x"))


def test_several_candidates_ask_which(tmp_path: Path) -> None:
    log(tmp_path, "clicks.csv")
    log(tmp_path, "orders.csv")
    with pytest.raises(
        InputError, match=r"several files could be the interactions \(clicks.csv, orders.csv\)"
    ):
        inspect_folder(tmp_path)
    assert (
        inspect_folder(tmp_path, Overrides(interactions="orders.csv")).settings["source"]["interactions"]
        == "orders.csv"
    )


def test_nothing_to_inspect(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no interactions.csv"):
        inspect_folder(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        inspect_folder(tmp_path / "gone")


def test_bad_values_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user_id,item_id,time\nu,a,2020-01-01\nu,b,later\n")
    with pytest.raises(InputError, match=r"interactions.csv, line 3, column time: 'later'"):
        inspect_folder(tmp_path)


def section(root: Path, columns: dict) -> dict:
    write(root, "interactions.csv", columns)
    return inspect_folder(root).settings


@pytest.mark.parametrize(
    ("days", "every"), [(3000, "year"), (730, "month"), (60, "week"), (6, "day"), (1, None)]
)
def test_windows_follow_the_span(tmp_path: Path, days: int, every: str | None) -> None:
    window = section(tmp_path, events(first=datetime(2010, 1, 1), days=days))["window"]
    assert window["every"] == (every or "none")
    if every:
        assert window["start"] < window["score_from"] <= window["end"]


def test_live_data_have_no_last_window(tmp_path: Path) -> None:
    start = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=730)
    window = section(tmp_path, events(first=start, days=730))["window"]
    assert window["every"] == "month"
    assert "end" not in window


def test_no_windows_where_users_do_not_come_back(tmp_path: Path) -> None:
    columns = events()
    columns["time"] = [datetime(2020, 1, 1) + timedelta(days=12 * int(user[1:])) for user in columns["user"]]
    settings = section(tmp_path, columns)
    assert settings["window"] == {"every": "none"}
    assert settings["split"]["strategy"] == "random"


def test_windows_where_few_rows_lack_a_time_and_none_where_many_do(tmp_path: Path) -> None:
    columns = events()
    columns["time"][3] = None
    assert section(tmp_path, columns)["window"]["every"] == "month"
    columns["time"][:300] = [None] * 300
    assert section(tmp_path, columns)["window"] == {"every": "none"}


def test_thresholds(tmp_path: Path) -> None:
    settings = section(tmp_path, events())
    assert settings["interactions"] == {"min_rating": 4, "k_core": 5}
    constant = section(tmp_path, events() | {"rating": [1] * 1200})
    assert constant["interactions"] == {"k_core": 5}
    thin = section(tmp_path, {"user": list(range(50)), "item": list(range(50))})
    assert thin["interactions"] == {"k_core": 0}


def test_a_given_split_is_taken_as_it_is(tmp_path: Path) -> None:
    columns = events()
    del columns["time"]
    settings = section(tmp_path, columns | {"split": ["train"] * 1200})
    assert settings["split"] == {"strategy": "given"}
    assert settings["interactions"]["k_core"] == 0
    assert "vbpr" not in settings["models"], "there is no content to learn from"


def reloaded(inspection: Inspection) -> dict:
    return yaml.safe_load(to_yaml(inspection.settings))


def test_yaml_says_the_same_with_comments(tmp_path: Path) -> None:
    log(tmp_path)
    write(tmp_path, "items.csv", {"id": range(40), "name": ["Ä"] * 40})
    found = inspect_folder(tmp_path, Overrides(name="shop"))
    assert reloaded(found) == found.settings
    text = to_yaml(found.settings)
    assert text.startswith("# First part of every asset key")
    assert "- {modality: text, encoder: tfidf_svd}" in text
    source_options(reloaded(found)["source"])


@pytest.mark.parametrize(
    ("pack", "every", "models"),
    [
        ("xwines-slim", "year", 12),
        ("ml-latest-small-mm", "none", 12),
        ("tiktok-mmssl", "none", 12),
        ("amazon-baby-5core", "none", 5),
        ("emotify-audio", "none", 12),
    ],
)
def test_real_packs(packs: Path, pack: str, every: str, models: int) -> None:
    found = inspect_folder(packs / pack)
    assert found.settings["window"]["every"] == every
    assert len(found.settings["models"]) == models
    assert reloaded(found) == found.settings


def _catalogue(root: Path, titles: list[str | None]) -> Inspection:
    """A log of as many items as there are titles, looked at."""
    columns = events(items=len(titles), each=min(20, len(titles)))
    write(root, "interactions.csv", columns)
    write(root, "items.csv", {"item": range(len(titles)), "title": titles})
    return inspect_folder(root)


@pytest.mark.parametrize(
    ("titles", "reason"),
    [
        ([f"Movie {number}" for number in range(9)], "all texts (such as 'Movie 0') share the same words"),
        (["Movie"] * 9, "all texts (such as 'Movie') share the same words"),
        (["Фильм"] * 9, "all texts (such as 'Фильм') share the same words"),
        (["Movie", *[None] * 8], "there is no second item"),
    ],
)
def test_texts_that_cannot_tell_items_apart_are_no_feature(
    tmp_path: Path, titles: list[str | None], reason: str
) -> None:
    found = _catalogue(tmp_path, titles)
    assert "features" not in found.settings
    assert [line for line in found.findings if line.startswith("text: none") and reason in line]


@pytest.mark.parametrize(
    "titles",
    [
        ["red wine", "red car", "blue car", "blue wine", "red sea", "old car", "old wine", "old sea", "x y"],
        [f"title{number}" for number in range(9)],  # no word is shared: each text has its own
        ["red wine", "red wine", *[f"other{number}" for number in range(7)]],
    ],
)
def test_texts_that_can_are_one(tmp_path: Path, titles: list[str | None]) -> None:
    assert {"modality": "text", "encoder": "tfidf_svd"} in _catalogue(tmp_path, titles).settings["features"]


@pytest.mark.parametrize(("items", "chosen"), [(20, "recall@5"), (15, "recall@3"), (2, "recall@1")])
def test_a_catalogue_that_fits_into_a_list(tmp_path: Path, items: int, chosen: str) -> None:
    found = _catalogue(tmp_path, [f"title{number}" for number in range(items)])
    assert found.settings["evaluation"] == {"select_on": chosen}
    assert [line for line in found.findings if f"{items} items, so recall@20 is 1 for every model" in line]


def test_a_larger_catalogue_is_judged_as_usual(tmp_path: Path) -> None:
    assert "evaluation" not in _catalogue(tmp_path, [f"title{number}" for number in range(21)]).settings
