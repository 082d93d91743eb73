"""The comparison of two years: equal homes are equal, and one changed row, weight or metric is found and named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.simulation.comparing import YearsCompared, compare_years
from mrs_pipeline.simulation.feeding import Stock, land_all
from mrs_pipeline.simulation.scratch import scratch_settings
from mrs_pipeline.storage.home import Home
from mrs_pipeline.storage.table import Table
from mrs_pipeline.tasks.node import Node
from mrs_pipeline.tasks.places import table_of
from mrs_pipeline.tasks.task import Stage
from mrs_pipeline_tests.simulation.fed import MODELS, MONTHS, tiny
from mrs_pipeline_tests.stages.working import perform

LAST = MONTHS[-1]


@pytest.fixture(scope="module")
def played(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A home with the last month made. Only to be read."""
    home = Home(tmp_path_factory.mktemp("played"))
    land_all(stock, home)
    stage = Stage(scratch_settings(tiny(), MONTHS, MODELS), home, LAST)
    perform(stage)
    return stage


@pytest.fixture
def other(played: Stage, tmp_path: Path) -> Stage:
    """A copy of it, to be changed."""
    shutil.copytree(played.home.root, tmp_path / "other")
    return Stage(played.config, Home(tmp_path / "other"), LAST)


def _differing(played: Stage, other: Stage) -> dict[str, YearsCompared]:
    found = compare_years(played, other, [LAST])
    assert len(found) > 15
    return {str(each.found.node): each for each in found if not each.found.same}


def _change(stage: Stage, node: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    table: Table = table_of(stage, Node.parse(node))
    stage.lake.write_frame(table, change(stage.lake.read(table)), stage.lake.manifest(table).provenance)


def test_equal_homes_are_equal(played: Stage, other: Stage) -> None:
    assert _differing(played, other) == {}
    compared = {str(each.found.node) for each in compare_years(played, other, [LAST])}
    assert {
        "core/splits",
        "core/quarantine",
        "trained/ease",
        "final/ease",
        "metrics/ease",
        "raw/items",
    } <= compared
    assert {"recommendations/most_pop", "raw/interactions@2024-01", f"raw/interactions@{LAST}"} <= compared


def test_one_changed_row_is_found_and_shown(played: Stage, other: Stage) -> None:
    _change(other, "core/splits", lambda rows: rows.with_columns(
        split=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("valid")).otherwise("split")
    ))  # fmt: skip
    found = _differing(played, other)
    assert list(found) == ["core/splits"]
    one, two = found["core/splits"].rows
    assert one.startswith("1 rows only in the first, such as ") and "split train" in one
    assert two.startswith("1 rows only in the second, such as ") and "split valid" in two


def test_a_metric_is_compared_by_value(played: Stage, other: Stage) -> None:
    _change(other, "metrics/ease", lambda rows: rows.with_columns(seconds_evaluation=pl.lit(99.0)))
    assert _differing(played, other) == {}
    _change(other, "metrics/ease", lambda rows: rows.with_columns(value=pl.col("value") + 0.125))
    found = _differing(played, other)
    assert list(found) == ["metrics/ease"]
    assert found["metrics/ease"].found.difference == pytest.approx(0.125)


def test_what_only_one_home_has_differs(played: Stage, other: Stage) -> None:
    other.lake.delete(table_of(other, Node.parse("recommendations/ease")))
    shutil.rmtree(other.home.final / "tiny" / LAST / "ease")
    found = _differing(played, other)
    assert set(found) == {"recommendations/ease", "final/ease"}
    assert all(each.found.again == "not stored any more" for each in found.values())
