"""Drift between windows: quiet as the demo is, and each check is tripped by a drift planted in its part."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mrs_pipeline.plan import plan
from mrs_pipeline.stages.drift import COMPARED_PARTS
from mrs_pipeline.stages.report_links import links_of_report
from mrs_pipeline.storage.provenance import Provenance
from mrs_pipeline.storage.table import Table
from mrs_pipeline.stored.features import read_features
from mrs_pipeline.tables.drift import DRIFT_TABLE
from mrs_pipeline.tasks.node import WINDOW_DRIFT
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.stages.working import copied, perform, stage_of, task_of

BEFORE = "2024-05"
SETTINGS = {
    "source": {"reader": "demo", "demo": {"users": 150, "items": 120}},
    "features": [{"modality": "text", "encoder": "tfidf_svd", "dimensions": 8}],
    "models": {"most_pop": None},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A window that has been run, and lists of the window before, which are the same."""
    stage = stage_of(tmp_path_factory.mktemp("drift") / "home", **SETTINGS)
    perform(stage, [name for name in _names(stage) if not name.startswith("eval/")])
    lists = stage.lake.read(_lists(stage))
    stage.lake.write_frame(_lists(stage.at(BEFORE)), lists, Provenance("test"))
    return stage.home.root


@pytest.fixture
def stage(root: Path, tmp_path: Path) -> Stage:
    return stage_of(copied(root, tmp_path / "home"), **SETTINGS)


def _names(stage: Stage) -> list[str]:
    return [task.name for task in plan(stage.config)]


def _lists(stage: Stage) -> Table:
    return stage.table("serving", "recommendations", model="most_pop")


def _raw(stage: Stage) -> Table:
    return stage.table("raw", "interactions")


def _change(stage: Stage, table: Table, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    stage.lake.write_frame(table, change(stage.lake.read(table)), stage.lake.manifest(table).provenance)


def _checked(stage: Stage) -> dict[str, bool]:
    task = task_of(stage, "eval/drift")
    task.run(stage, task, Provenance("test"))
    assert task.check is not None
    found = task.check(stage, task)
    assert all(not each.blocking for each in found)
    return {each.name: each.passed for each in found}


def _rows(stage: Stage) -> pl.DataFrame:
    return stage.lake.read(table_of(stage, WINDOW_DRIFT))


def test_a_month_like_the_one_before_is_quiet(stage: Stage) -> None:
    assert _checked(stage) == dict.fromkeys(COMPARED_PARTS, True)
    rows = _rows(stage)
    assert tuple(rows.columns) == tuple(DRIFT_TABLE.columns)
    assert set(rows["part"]) == set(COMPARED_PARTS)
    assert "released" not in rows["about"].to_list(), "months change by nature"
    assert "category" in rows["about"].to_list()
    other = stage_of(stage.home.root, **SETTINGS, drift={"ignore": ["category"]})
    _checked(other)
    assert "category" not in _rows(other)["about"].to_list()
    assert rows.filter(statistic="overlap")["value"].to_list() == [1.0]


def test_new_users_and_items_are_counted(stage: Stage) -> None:
    now = stage.lake.read(_raw(stage))
    past = pl.concat(
        [stage.lake.read(_raw(stage.at(f"2024-0{month}"))) for month in range(1, 6)], how="diagonal"
    )
    _checked(stage)
    rows = {
        row["about"]: row["value"] for row in _rows(stage).filter(statistic="share").iter_rows(named=True)
    }
    for what, column in (("users", "user_id"), ("items", "item_id")):
        own = set(now[column])
        assert rows[f"new {what}"] == pytest.approx(len(own - set(past[column])) / len(own))


def test_another_activity_trips_interactions_alone(stage: Stage) -> None:
    few = pl.lit("v") + (pl.int_range(pl.len()) % 8).cast(pl.String)
    _change(stage, _raw(stage), lambda rows: rows.with_columns(user_id=few))
    assert _checked(stage) == {**dict.fromkeys(COMPARED_PARTS, True), "interactions": False}


def _only(stage: Stage, wanted: list[str]) -> None:
    """A month in which nothing but these items is taken."""
    _change(
        stage,
        _raw(stage),
        lambda rows: rows.with_columns(
            item_id=pl.Series([wanted[n % len(wanted)] for n in range(rows.height)])
        ),
    )


def test_other_categories_trip_the_catalogue(stage: Stage) -> None:
    items = stage.lake.read(stage.table("core", "items"))
    chosen = sorted(items["category"].drop_nulls().unique())[:2]
    _only(stage, items.filter(pl.col("category").is_in(chosen))["item_id"].to_list())
    found = _checked(stage)
    assert not found["catalogue"] and found["recommendations"]


def test_items_at_one_end_of_a_dimension_trip_the_features(stage: Stage) -> None:
    names = stage.lake.read(stage.table("core", "items")).sort("item")["item_id"]
    features = read_features(stage, "text_tfidf_svd")
    far = np.argsort(features.values[:, 1])[-40:]
    _only(stage, names.gather(far).to_list())
    found = _checked(stage)
    assert not found["features"] and found["recommendations"]
    (row,) = _rows(stage).filter(statistic="ks").iter_rows(named=True)
    assert row["drifted"] and row["n_now"] == 40


def test_other_lists_trip_recommendations_alone(stage: Stage) -> None:
    before = stage.at(BEFORE)
    _change(
        before, _lists(before), lambda rows: rows.with_columns(item_id=pl.lit("gone-") + pl.col("item_id"))
    )
    assert _checked(stage) == {**dict.fromkeys(COMPARED_PARTS, True), "recommendations": False}


def test_a_drift_within_the_bounds_of_the_settings_is_none(stage: Stage) -> None:
    before = stage.at(BEFORE)
    _change(
        before, _lists(before), lambda rows: rows.with_columns(item_id=pl.lit("gone-") + pl.col("item_id"))
    )
    lenient = stage_of(stage.home.root, **SETTINGS, drift={"min_overlap": 0, "max_psi": 100})
    assert _checked(lenient)["recommendations"]


def test_the_first_window_has_nothing_to_be_compared_with(stage: Stage) -> None:
    first = stage.at("2024-01")
    assert _checked(first) == dict.fromkeys(COMPARED_PARTS, True)
    assert _rows(first).is_empty()


def test_the_page_shows_all_windows_and_is_linked(stage: Stage) -> None:
    """Also one whose rows were measured earlier; a drift is named in words, with its bound."""
    _checked(stage)
    rows = _rows(stage)
    beyond = rows.with_columns(value=pl.lit(9.0), drifted=pl.col("about") == "events of users")
    for window, frame in ((BEFORE, rows), ("2024-07", beyond)):
        stage.lake.write_frame(table_of(stage.at(window), WINDOW_DRIFT), frame, Provenance("test"))
    made = task_of(stage, "eval/drift")
    (outcome,) = made.run(stage, made, Provenance("test"))
    page = stage.home.reports / "tiny" / "drift.html"
    text = page.read_text()
    assert outcome.facts["page"] == str(page)
    assert "Window 2024-07 differs from the one before it in 1 of" in text and "events of users" in text
    assert text.count("<figure") == rows["part"].n_unique()
    assert 'href="report.html"' in text and 'href="../index.html"' in text
    links = links_of_report(stage.home, "tiny")
    assert links.below["Drift"] == (("from window to window", "drift.html"),)
