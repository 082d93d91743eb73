import numpy as np
import polars as pl
import pytest
from scipy.stats import t, ttest_rel

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.leaderboard import leaderboard, metric_columns, walk_forward
from mrs_pipeline.statistics import holm


def board_of(inputs, **kwargs):
    return leaderboard(inputs.metrics, inputs.runs, inputs.user_metrics, **kwargs)


def row_of(board, model):
    return board.row(by_predicate=pl.col("model") == model, named=True)


def per_user(inputs, model):
    """[U] recall@20 averaged over seeds, by plain NumPy."""
    rows = inputs.user_metrics.filter(pl.col("model") == model)
    return np.mean(
        [rows.filter(pl.col("seed") == s).sort("user")["recall@20"].to_numpy() for s in (0, 1)], axis=0
    )


def test_values_are_means_over_seeds_and_rank_follows_them(full_inputs):
    board = board_of(full_inputs)
    for row in board.to_dicts():
        own = full_inputs.metrics.filter((pl.col("model") == row["model"]) & (pl.col("slice") == "all"))
        recall = own.filter((pl.col("metric") == "recall") & (pl.col("k") == 20))["value"].to_numpy()
        assert row["recall@20"] == pytest.approx(recall.mean())
        assert row["recall@20_spread"] == pytest.approx(recall.std(ddof=1))
        assert row["seeds"] == 2
    assert board["recall@20"].is_sorted(descending=True)
    assert board["rank"].to_list() == [1, 2, 3, 4, 5]
    assert board["model"][-1] == "most_pop"


def test_intervals_are_over_users(full_inputs):
    row = row_of(board_of(full_inputs), "ease")
    values = per_user(full_inputs, "ease")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    assert row["recall@20_ci_low"] == pytest.approx(values.mean() - half)
    assert row["recall@20_ci_high"] == pytest.approx(values.mean() + half)


def test_tests_against_leader_and_popularity_are_paired_and_holm_adjusted(full_inputs):
    board = board_of(full_inputs)
    leader, others = board["model"][0], board["model"].to_list()[1:]
    raw = [ttest_rel(per_user(full_inputs, m), per_user(full_inputs, leader)) for m in others]
    assert board["best_p"].to_list()[1:] == pytest.approx(holm([test.pvalue for test in raw]))
    assert board["best_difference"].to_list()[1:] == pytest.approx(
        [(per_user(full_inputs, m) - per_user(full_inputs, leader)).mean() for m in others]
    )
    assert row_of(board, leader)["best_p"] is None
    assert row_of(board, "most_pop")["popularity_p"] is None
    assert row_of(board, "ease")["popularity_p"] < 0.001
    assert row_of(board, "ease")["popularity_difference"] > 0


def test_without_users_the_stored_intervals_stand_and_nothing_is_tested(full_inputs):
    board = leaderboard(full_inputs.metrics)
    row = row_of(board, "ease")
    stored = full_inputs.metrics.filter(
        (pl.col("model") == "ease")
        & (pl.col("slice") == "all")
        & (pl.col("metric") == "recall")
        & (pl.col("k") == 20)
    )
    assert row["recall@20_ci_low"] == pytest.approx(stored["ci_low"].mean())
    assert board["best_p"].is_null().all()
    assert board["axis"].is_null().all()
    assert board["seconds"].is_null().all()


def test_slices_become_columns_and_missing_ones_stay_away(full_inputs):
    row = row_of(board_of(full_inputs), "freedom")
    assert row["cold_recall@20"] == pytest.approx(0.05)
    assert row["cold_recall@20_ci_low"] == pytest.approx(0.046)
    only_all = leaderboard(full_inputs.metrics.filter(pl.col("slice") == "all"))
    assert not [column for column in only_all.columns if "cold" in column or "warm" in column]


def test_nan_counts_as_missing(full_inputs):
    cold = (pl.col("slice") == "cold") & (pl.col("model") == "ease")
    frame = full_inputs.metrics.with_columns(value=pl.when(cold).then(float("nan")).otherwise("value"))
    board = leaderboard(frame, full_inputs.runs, full_inputs.user_metrics)
    assert row_of(board, "ease")["cold_recall@20"] is None
    holes = full_inputs.user_metrics.with_columns(
        pl.when(pl.col("user") < 100).then(float("nan")).otherwise("recall@20").alias("recall@20")
    )
    row = row_of(leaderboard(full_inputs.metrics, full_inputs.runs, holes), "ease")
    values = per_user(full_inputs, "ease")[100:]
    half = t.ppf(0.975, 199) * values.std(ddof=1) / np.sqrt(200)
    assert row["recall@20_ci_high"] == pytest.approx(values.mean() + half)


def test_costs_and_taxonomy_come_from_runs(full_inputs):
    row = row_of(board_of(full_inputs), "bm3")
    assert row["seconds"] == pytest.approx(50.5)  # 50 and 51
    assert row["cells"] == ["enhancement/contrastive"]
    assert row["axis"] == "enhancement"
    assert row_of(board_of(full_inputs), "ease")["epochs"] is None


def test_protocols_are_ranked_apart(full_inputs):
    other = full_inputs.metrics.filter(pl.col("model") == "most_pop").with_columns(
        protocol=pl.lit("easier"), model=pl.lit("other"), value=pl.lit(0.99)
    )
    board = leaderboard(pl.concat([full_inputs.metrics, other]), full_inputs.runs, full_inputs.user_metrics)
    assert row_of(board, "other")["rank"] == 1
    assert board.filter(pl.col("rank") == 1).height == 2
    assert board.filter(pl.col("protocol") != "easier")["model"][0] == board_of(full_inputs)["model"][0]
    assert row_of(board, "other")["popularity_p"] is None  # the reference was measured under another protocol


def test_a_seed_of_another_protocol_does_not_enter_the_test(full_inputs):
    moved = full_inputs.metrics.with_columns(
        protocol=pl.when((pl.col("model") == "ease") & (pl.col("seed") == 1))
        .then(pl.lit("other"))
        .otherwise("protocol")
    )
    board = leaderboard(moved, full_inputs.runs, full_inputs.user_metrics)
    main = board.filter((pl.col("model") == "ease") & (pl.col("protocol") != "other")).row(0, named=True)
    first = full_inputs.user_metrics.filter((pl.col("model") == "ease") & (pl.col("seed") == 0))["recall@20"]
    leader = per_user(full_inputs, board.filter(pl.col("protocol") != "other")["model"][0])
    assert main["best_difference"] == pytest.approx(first.mean() - leader.mean())


def test_slices_whose_protocol_names_them_stay_with_their_run(full_inputs):
    assert full_inputs.metrics["protocol"].n_unique() == 3
    board = board_of(full_inputs)
    assert board["protocol"].unique().to_list() == ["full ranking; candidates=all items; exclude=train_valid"]
    assert board["cold_recall@20"].is_not_null().all()


def test_a_run_of_two_protocols_is_refused(full_inputs):
    mixed = full_inputs.metrics.with_columns(
        protocol=pl.when(pl.col("metric") == "ndcg").then(pl.lit("other")).otherwise("protocol")
    )
    with pytest.raises(InputError, match=r"most_pop .* mix protocols"):
        leaderboard(mixed)


def test_only_users_that_both_models_have_are_paired(full_inputs):
    absent = (pl.col("model") == "ease") & (pl.col("user") < 100)
    board = leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics.filter(~absent))
    leader = per_user(full_inputs, board["model"][0])[100:]
    ease = per_user(full_inputs, "ease")[100:]
    assert row_of(board, "ease")["best_difference"] == pytest.approx((ease - leader).mean())


def test_row_order_does_not_matter(full_inputs):
    shuffled = leaderboard(
        full_inputs.metrics.sample(fraction=1, shuffle=True, seed=5),
        full_inputs.runs.sample(fraction=1, shuffle=True, seed=6),
        full_inputs.user_metrics.sample(fraction=1, shuffle=True, seed=7),
    )
    board = board_of(full_inputs)
    assert shuffled.columns == board.columns
    for name in ("model", "rank"):
        assert shuffled[name].to_list() == board[name].to_list()
    for name in ("recall@20", "recall@20_ci_low", "best_p"):
        assert shuffled[name].fill_null(-1).to_list() == pytest.approx(board[name].fill_null(-1).to_list())


def test_a_metric_twice_for_a_run_is_refused(full_inputs):
    with pytest.raises(InputError, match=r"recall@10 of most_pop .* twice"):
        leaderboard(pl.concat([full_inputs.metrics, full_inputs.metrics.head(1)]))


def test_missing_column_and_missing_metric_are_named(full_inputs):
    with pytest.raises(InputError, match="lacks the column 'protocol'"):
        leaderboard(full_inputs.metrics.drop("protocol"))
    with pytest.raises(InputError, match=r"no recall@50 .* only recall@10"):
        board_of(full_inputs, shown=("recall@50",))
    with pytest.raises(InputError, match="metrics frame holds a value of another type"):
        leaderboard(full_inputs.metrics.with_columns(value=pl.lit("high")))


def test_walk_forward_has_a_column_a_window_and_no_mean_over_a_hole(build_inputs):
    inputs = build_inputs(("ease", "most_pop"), ("2021", "2022"))
    holed = inputs.metrics.filter(~((pl.col("model") == "most_pop") & (pl.col("window") == "2021")))
    table = walk_forward(leaderboard(holed, inputs.runs, inputs.user_metrics))
    assert table.columns == ["protocol", "dataset", "model", "2021", "2022", "mean"]
    ease, popularity = table.to_dicts()
    assert ease["mean"] == pytest.approx((ease["2021"] + ease["2022"]) / 2)
    assert popularity["2021"] is None
    assert popularity["mean"] is None


def test_metrics_over_all_users_have_no_interval_and_those_of_the_whole_ranking_no_cut_off(full_inputs):
    board = board_of(full_inputs, shown=("recall@20", "coverage@20"))
    assert {"auc", "coverage@20", "gini@20"} <= set(metric_columns(board))
    assert {"recall@20", "warm_recall@20", "cold_recall@20"} <= set(metric_columns(board))
    assert not [name for name in metric_columns(board) if name.endswith(("_low", "_high", "_spread", "_p"))]
    row = row_of(board, "ease")
    assert row["auc"] == pytest.approx(0.5 + row["recall@20"])
    assert (row["coverage@20_ci_low"], row["coverage@20_ci_high"]) == (None, None)


def test_one_user_is_a_mean_without_interval_and_without_tests(full_inputs):
    metrics = full_inputs.metrics.with_columns(ci_low=None, ci_high=None, n_users=1)
    users = full_inputs.user_metrics.filter(pl.col("user") == 0)
    for row in leaderboard(metrics, full_inputs.runs, users).to_dicts():
        assert row["recall@20"] is not None
        for name in ("recall@20_ci_low", "recall@20_ci_high", "best_p", "best_low", "popularity_p"):
            assert row[name] is None, name
