"""What a verdict rests on, with planted answers: a shop whose new items have texts and no event, and late users."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import perform, stage_of

TASTES = ("harbour salt gull tide", "engine piston grease valve", "meadow clover bee honey")
USERS, WARM, NEW = 60, 30, 30
START = datetime(2024, 1, 1)
SHOP: dict[str, Any] = {
    "source": {"path": "shop"},
    "window": {"every": "month", "start": "2024-01", "end": "2024-03", "score_from": "2024-03"},
    "interactions": {"k_core": 2},
    "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 8}],
    "models": {"item_knn": {"source": "content"}, "most_pop": None, "ease": None},
    "split": {"valid": 0.1},
    "evaluation": {"ks": [3, 5, 10, 20], "select_on": "recall@5"},
    "training": {"epochs": 1},
}
LATE = "u59"
"""Has two events, both in the last days of the history."""


def shop(root: Path, **changed: Any) -> Stage:
    """Each user likes one taste, which the items' texts are of; the last thirty items have never been touched.

    In March users take what they have not had yet, and some the new item of their taste, of which there is one each;
    the other new items are of none.
    """
    rng = np.random.default_rng(3)
    folder = root / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for user in range(USERS - 1):
        own = [item for item in range(WARM) if item % 3 == user % 3]
        taken = rng.permutation(own)
        moments = np.sort(rng.uniform(0, 57, 7))
        rows += [
            (f"u{user:02}", f"i{item:02}", float(day)) for item, day in zip(taken[:7], moments, strict=True)
        ]
        rows += [(f"u{user:02}", f"i{item:02}", 65.0) for item in taken[7:9]]
        if user < 30:
            rows.append((f"u{user:02}", f"i{WARM + user % 3:02}", 70.0))
    rows += [(LATE, "i00", 58.0), (LATE, "i03", 58.5), (LATE, "i06", 66.0)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day"], orient="row")
    times = [START + timedelta(days=day) for day in frame["day"]]
    frame.drop("day").with_columns(timestamp=pl.Series(times)).write_csv(folder / "interactions.csv")
    items = [
        (f"i{item:02}", TASTES[item % 3] if item < WARM + 3 else f"sundry lot {item}")
        for item in range(WARM + NEW)
    ]
    pl.DataFrame(items, schema=["item_id", "title"], orient="row").write_csv(folder / "items.csv")
    return stage_of(root, "2024-03", **{**SHOP, **changed})


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    stage = shop(tmp_path_factory.mktemp("verdict"))
    perform(stage)
    return stage


def measured(stage: Stage, model: str, part: str, metric: str = "recall") -> dict[int, dict[str, Any]]:
    rows = stage.lake.read(stage.table("eval", "metrics", model=model)).filter(slice=part, metric=metric)
    return {row["k"]: row for row in rows.to_dicts()}


def test_the_whole_catalogue_has_numbers_features_and_places(sold: Stage) -> None:
    items = sold.lake.read(sold.table("core", "items"))
    assert items.height == WARM + NEW
    assert items["is_candidate"].all()
    assert items.filter("is_cold")["item_id"].to_list() == [f"i{item}" for item in range(WARM, WARM + NEW)]
    features = sold.lake.read(sold.table("features", "text_tfidf_svd"))
    assert features["present"].all() and features.height == WARM + NEW


def test_candidates_are_more_than_what_the_test_names(sold: Stage) -> None:
    """3 of the 30 new items are in test events. Were they the only candidates, chance would find them all."""
    cold = measured(sold, "item_knn", "cold")
    assert cold[3]["candidates"] == NEW
    assert cold[3]["chance"] == pytest.approx(3 / NEW)
    assert cold[3]["users"] == 30
    assert cold[3]["value"] == 1.0  # content puts the planted one first
    assert measured(sold, "ease", "cold") == {}  # EASE cannot rank them, and says no number
    assert measured(sold, "most_pop", "cold") == {}


def test_new_items_are_recommended_by_who_sees_content_alone(sold: Stage) -> None:
    listed = {
        model: set(sold.lake.read(sold.table("serving", "recommendations", model=model))["item_id"])
        for model in ("item_knn", "ease", "most_pop")
    }
    new = {f"i{item}" for item in range(WARM, WARM + NEW)}
    assert new <= listed["item_knn"]
    assert not new & (listed["ease"] | listed["most_pop"])


def test_rows_of_history_and_split_add_up(sold: Stage) -> None:
    core = sold.lake.read(sold.table("core", "interactions"))
    splits = sold.lake.read(sold.table("core", "splits"))
    assert core.height == splits.height
    assert core.filter("is_history").height == splits.filter(pl.col("split") != "test").height


def test_a_user_whose_history_is_late_is_measured_apart(sold: Stage) -> None:
    for model, by in (("ease", "history"), ("item_knn", "history")):
        rows = measured(sold, model, "new users")
        assert {row["users"] for row in rows.values()} == {1}
        assert {row["ranked_by"] for row in rows.values()} == {by}
        assert measured(sold, model, "all")[5]["users"] == USERS - 1
    # the two items of the last days say which taste it is
    assert measured(sold, "ease", "new users")[10]["value"] == 1.0


def test_other_names_for_items_change_nothing(tmp_path: Path, sold: Stage) -> None:
    """Ids in another order give other numbers, and the same verdict."""
    stage = shop(tmp_path)
    folder = tmp_path / "shop"
    names = {f"i{item:02}": f"x{(item * 37) % 60:02}" for item in range(WARM + NEW)}
    for file in ("interactions.csv", "items.csv"):
        frame = pl.read_csv(folder / file)
        frame.with_columns(pl.col("item_id").replace_strict(names)).write_csv(folder / file)
    perform(stage)
    for model, part in (("ease", "all"), ("ease", "warm"), ("ease", "new users"), ("item_knn", "cold")):
        found, before = measured(stage, model, part), measured(sold, model, part)
        for k, row in found.items():
            assert row["value"] == pytest.approx(before[k]["value"]), (model, part, k)
            assert row["chance"] == pytest.approx(before[k]["chance"])


def test_what_came_later_is_no_candidate_and_its_events_are_counted(tmp_path: Path) -> None:
    stage = shop(tmp_path)
    folder = tmp_path / "shop"
    items = pl.read_csv(folder / "items.csv")
    seen = [None] * WARM + ["2024-03-02"] * NEW
    items.with_columns(first_seen=pl.Series(seen)).write_csv(folder / "items.csv")
    perform(stage)
    assert measured(stage, "item_knn", "all")[5]["candidates"] == WARM
    assert measured(stage, "item_knn", "cold") == {}
    reasons = stage.lake.read(stage.table("core", "quarantine"))["reason"].value_counts()
    assert dict(reasons.iter_rows()) == {"item unknown at the window's start": 30}
    # they are there to be recommended for all that
    lists = stage.lake.read(stage.table("serving", "recommendations", model="item_knn"))
    assert {f"i{item}" for item in range(WARM, WARM + NEW)} <= set(lists["item_id"])


def test_nobody_is_served_zeros(sold: Stage) -> None:
    users = sold.lake.read(sold.table("core", "users"))
    late = users.filter(user_id=LATE)["user"].item()
    for model in ("ease", "item_knn", "most_pop"):
        lists = sold.lake.read(sold.table("serving", "recommendations", model=model))
        assert lists["user"].n_unique() == users.height
        mine = lists.filter(user=late)
        assert set(mine["ranked_by"]) == {"history"}
        assert mine["score"].n_unique() > 1
        assert set(lists.filter(pl.col("user") != late)["ranked_by"]) == {"model"}
        if model != "most_pop":  # the two items of the last days say which taste it is
            assert {int(item[1:]) % 3 for item in mine.sort("rank")["item_id"].head(5)} == {0}
