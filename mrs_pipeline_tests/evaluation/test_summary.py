"""From the metrics of users to rows: means, intervals, what is left out."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from mrs_pipeline.evaluation.slices import SliceMetrics
from mrs_pipeline.evaluation.summary import shorter_than_catalogue, summary_table, user_table
from mrs_pipeline.statistics import Sample, interval


def of_users(values: list[float], label: str = "recall@5", **overall: float) -> SliceMetrics:
    return SliceMetrics(
        "all", "rules", np.arange(len(values)) * 10, {label: np.array(values, np.float32)}, overall
    )


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_row_is_the_mean_with_the_interval_of_a_share(n):
    values = np.random.default_rng(n).random(n).astype(np.float32)
    (row,) = summary_table([of_users(values.tolist())]).to_dicts()
    theirs = interval(Sample.of_users(values), 0, 1)
    assert (row["slice"], row["protocol"], row["metric"], row["k"], row["users"]) == (
        "all",
        "rules",
        "recall",
        5,
        n,
    )
    assert row["value"] == pytest.approx(values.mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((theirs.low, theirs.high))


def test_a_metric_without_an_upper_bound_has_students_interval():
    (row,) = summary_table([of_users([3.0, 4.0, 8.0], "novelty@5")]).to_dicts()
    theirs = stats.ttest_1samp([3.0, 4.0, 8.0], 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((max(0, theirs.low), theirs.high))


def test_one_user_has_no_interval():
    (row,) = summary_table([of_users([0.5])]).to_dicts()
    assert (row["value"], row["ci_low"], row["ci_high"]) == (0.5, None, None)


def test_a_metric_over_all_users_has_no_interval():
    found = SliceMetrics("all", "rules", np.arange(7), {}, {"coverage@5": 0.25, "gauc": 0.75})
    rows = summary_table([found]).select("metric", "k", "users", "value", "ci_low", "ci_high").rows()
    assert rows == [("coverage", 5, 7, 0.25, None, None), ("gauc", None, 7, 0.75, None, None)]
    assert user_table([found]).is_empty()


def test_users_for_whom_a_metric_is_not_defined_do_not_count():
    found = of_users([0.5, np.nan, 1.0], "auc")
    (row,) = summary_table([found]).to_dicts()
    assert (row["metric"], row["k"], row["users"], row["value"]) == ("auc", None, 2, 0.75)
    assert user_table([found]).rows() == [(0, "all", "auc", None, 0.5), (20, "all", "auc", None, 1.0)]


def test_a_metric_that_is_defined_for_nobody_has_no_row():
    found = SliceMetrics(
        "all", "rules", np.arange(2), {"auc": np.full(2, np.nan, np.float32)}, {"gauc": np.nan}
    )
    assert summary_table([found]).is_empty()
    assert user_table([found]).is_empty()
    assert summary_table([]).schema == summary_table([found]).schema


def test_only_lists_that_are_shorter_than_the_catalogue_stay():
    """5 items, 3 of them with training rows: a list of the slice's whole catalogue finds everything."""
    counted = pl.DataFrame({"slice": ["all", "warm", "cold", "all"], "candidates": [5, 3, 2, 5]})
    rows = pl.DataFrame(
        [(part, k) for part in ("all", "warm", "cold") for k in (1, 2, 3, 4, 5, 6, None)],
        schema={"slice": pl.String, "k": pl.Int64},
        orient="row",
    )
    kept = rows.filter(shorter_than_catalogue(counted)).rows()
    assert kept == [
        *(("all", k) for k in (1, 2, 3, 4, None)),
        *(("warm", k) for k in (1, 2, None)),
        *(("cold", k) for k in (1, None)),
    ]


def test_what_models_are_compared_by_stays_in_a_small_catalogue():
    counted = pl.DataFrame({"slice": ["all", "warm", "cold"], "candidates": [5, 3, 2]})
    rows = pl.DataFrame({"slice": ["all", "all", "warm", "cold"], "k": [20, 50, 20, 20]})
    assert rows.filter(shorter_than_catalogue(counted)).rows() == [("all", 20)]
