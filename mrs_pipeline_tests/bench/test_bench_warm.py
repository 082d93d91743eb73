"""Warm start beside scratch: both ways of each window, the paired test by hand, the shares of cost."""

from pathlib import Path

import polars as pl
import pytest

from mrs_pipeline.bench.warm import bench_warm, check_warm_models, paired_tests, warm_plot, warm_summary
from mrs_pipeline.errors import InputError
from mrs_pipeline.statistics import Sample, compare
from mrs_pipeline_tests.stages.working import perform, stage_of

WINDOWS = ("2024-05", "2024-06")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Runs and users' metrics of one model at two windows."""
    settings = {"features": [], "models": {"bpr_mf": {"embedding_size": 8}}, "training": {"epochs": 1}}
    root: Path = tmp_path_factory.mktemp("bench") / "home"
    stages = [stage_of(root, window, **settings) for window in WINDOWS]
    perform(stages[1], ["raw/interactions", "raw/items"])
    for stage in stages:
        perform(stage, ["core/tables", "core/splits"])
    runs, users = zip(*bench_warm(stages, "bpr_mf", [1]), strict=True)
    return pl.concat(runs, how="diagonal_relaxed"), pl.concat(users)


def test_each_window_but_the_first_is_trained_both_ways(found: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    runs, users = found
    assert runs.select("window", "way").rows() == [
        (WINDOWS[0], "scratch"),
        (WINDOWS[1], "scratch"),
        (WINDOWS[1], "warm"),
    ]
    scratch, warm = runs.filter(window=WINDOWS[1]).rows(named=True)
    assert scratch["users"] is None and warm["users"] > 0 and warm["new_users"] > 0
    for row in (scratch, warm):
        own = users.filter(window=WINDOWS[1], way=row["way"], metric="recall@20")
        assert row["recall@20"] == pytest.approx(own["value"].mean())


def test_the_test_is_paired_over_users(found: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    tests = paired_tests(found[1])
    both = found[1].filter(window=WINDOWS[1], metric="ndcg@20").pivot("way", index="user", values="value")
    expected = compare(*(Sample.of_users(both[way].to_numpy()) for way in ("warm", "scratch")))
    for window in (WINDOWS[1], "all"):
        row = tests.filter(window=window, metric="ndcg@20").row(0, named=True)
        assert (row["difference"], row["error"]) == pytest.approx((expected.mean, expected.error))
        assert row["users"] == both.height and row["low"] <= row["difference"] <= row["high"]


def test_the_summary_compares_the_windows_that_have_both(found: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    runs = found[0].with_columns(
        epochs=pl.when(window=WINDOWS[0]).then(1000).when(way="warm").then(3).otherwise(12)
    )
    row = warm_summary(runs, paired_tests(found[1])).row(0, named=True)
    assert row["windows"] == 1 and row["share of epochs"] == pytest.approx(0.25)
    assert len(warm_plot(runs).axes) == 2 * runs["model"].n_unique()


def test_a_model_without_warm_start_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="ease is solved in closed form"):
        check_warm_models(["bpr_mf", "ease"])
