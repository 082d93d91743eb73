import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.leaderboard import leaderboard, metric_columns, walk_forward
from mrs_pipeline.statistics import ALPHA, Sample, compare, interval, judged


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


def sample_of(inputs, model, column="recall@20", first_user=0):
    rows = inputs.user_metrics.filter((pl.col("model") == model) & (pl.col("user") >= first_user))
    return Sample.of(*(rows[name].to_numpy() for name in ("user", "seed", column)))


def test_intervals_are_over_users_and_seeds_and_within_the_bounds(full_inputs):
    board = board_of(full_inputs)
    for column in ("recall@20", "ndcg@20"):
        expected = interval(sample_of(full_inputs, "ease", column), 0, 1)
        row = row_of(board, "ease")
        assert row[f"{column}_ci_low"] == pytest.approx(expected.low)
        assert row[f"{column}_ci_high"] == pytest.approx(expected.high)
    assert (board["recall@20_ci_low"] >= 0).all() and (board["recall@20_ci_high"] <= 1).all()


def test_what_intervals_allow_for_is_told(full_inputs):
    first = full_inputs.metrics.filter(pl.col("seed") == 0)
    board = leaderboard(first, full_inputs.runs, full_inputs.user_metrics)
    found = dict(board.select("model", "interval_over").iter_rows())
    assert found == {
        **dict.fromkeys(("freedom", "bm3", "lightgcn"), "users, one seed"),
        **dict.fromkeys(("ease", "most_pop"), "users"),
    }
    assert set(board_of(full_inputs)["interval_over"]) == {"users and seeds"}
    assert row_of(board_of(full_inputs), "freedom")["trials"] == 20


def test_seeds_that_disagree_widen_interval_and_test(full_inputs):
    shift = pl.when(pl.col("seed") == 0).then(0.03).otherwise(-0.03)
    moved = full_inputs.user_metrics.with_columns(
        pl.when(pl.col("model") == "freedom")
        .then(pl.col("recall@20") + shift)
        .otherwise("recall@20")
        .alias("recall@20")
    )
    calm, wild = board_of(full_inputs), leaderboard(full_inputs.metrics, full_inputs.runs, moved)
    widths = [row_of(board, "freedom") for board in (calm, wild)]
    widths = [row["recall@20_ci_high"] - row["recall@20_ci_low"] for row in widths]
    assert widths[1] > 3 * widths[0]
    assert row_of(wild, "ease")["best_p"] > row_of(calm, "ease")["best_p"]


def test_tests_against_leader_and_popularity_are_paired_and_adjusted(full_inputs):
    board = board_of(full_inputs)
    models = board["model"].to_list()
    for family, reference in (("best", models[0]), ("popularity", "most_pop")):
        others = [model for model in models if model != reference]
        expected = judged(
            [compare(sample_of(full_inputs, m), sample_of(full_inputs, reference)) for m in others]
        )
        for model, test in zip(others, expected, strict=True):
            row = row_of(board, model)
            for part in ("difference", "low", "high", "p"):
                assert row[f"{family}_{part}"] == pytest.approx(getattr(test, part))
        assert row_of(board, reference)[f"{family}_p"] is None
    assert row_of(board, "ease")["popularity_p"] < 0.001


def test_intervals_of_differences_exclude_0_exactly_where_p_says_so(build_inputs):
    board = board_of(build_inputs(windows=("2024-01", "2024-02", "2024-03")))
    for family in ("best", "popularity"):
        tested = board.drop_nulls(f"{family}_p")
        excluded = (tested[f"{family}_low"] > 0) | (tested[f"{family}_high"] < 0)
        assert (excluded == (tested[f"{family}_p"] < ALPHA)).all()
        assert (excluded.any() and not excluded.all()) or family == "popularity"


def test_cold_items_have_a_test_of_their_own(full_inputs):
    rng = np.random.default_rng(1)
    cold = {"freedom": 0.05, "bm3": 0.03, "ease": 0.0, "lightgcn": 0.001, "most_pop": 0.0}
    mean = pl.col("model").replace_strict(cold, return_dtype=pl.Float64)
    users = full_inputs.user_metrics.with_columns(
        pl.Series("noise", rng.normal(0, 0.02, len(full_inputs.user_metrics)))
    ).select(pl.exclude("noise"), (mean + pl.col("noise")).clip(0).alias("cold_recall@20"))
    board = leaderboard(full_inputs.metrics, full_inputs.runs, users)
    assert row_of(board, "freedom")["cold_best_p"] is None
    assert row_of(board, "ease")["cold_best_p"] < ALPHA
    own = users.filter(pl.col("model") == "bm3")
    expected = interval(
        Sample.of(*(own[name].to_numpy() for name in ("user", "seed", "cold_recall@20"))), 0, 1
    )
    assert row_of(board, "bm3")["cold_recall@20_ci_low"] == pytest.approx(expected.low)


def test_users_may_come_in_several_frames_but_a_model_in_one(full_inputs):
    users = full_inputs.user_metrics
    assert leaderboard(full_inputs.metrics, full_inputs.runs, users.partition_by("model")).equals(
        board_of(full_inputs)
    )
    with pytest.raises(ValueError, match="stand in two frames"):
        leaderboard(full_inputs.metrics, full_inputs.runs, users.partition_by("seed"))
    with pytest.raises(InputError, match="hold a user of ease twice for one seed"):
        leaderboard(full_inputs.metrics, None, pl.concat([users, users]).filter(model="ease"))


def test_other_numbers_for_the_same_users_change_nothing(full_inputs):
    renamed = full_inputs.user_metrics.with_columns((pl.col("user") * 7919) % 10_007).sample(
        fraction=1, shuffle=True, seed=1
    )
    assert_frame_equal(
        leaderboard(full_inputs.metrics, full_inputs.runs, renamed), board_of(full_inputs), rel_tol=1e-9
    )


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
    expected = interval(sample_of(full_inputs, "ease", first_user=100), 0, 1)
    assert row["recall@20_ci_high"] == pytest.approx(expected.high)


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


def stale(inputs, *models):
    """The metrics as if these models had been measured on yesterday's data."""
    old = pl.col("model").is_in(models)
    return inputs.metrics.with_columns(
        stale=old, data_digest=pl.when(old).then(pl.lit("e" * 32)).otherwise("data_digest")
    )


def test_models_measured_on_other_data_are_marked_and_neither_ranked_nor_tested(full_inputs):
    board = leaderboard(stale(full_inputs, "freedom", "bm3"), full_inputs.runs, full_inputs.user_metrics)
    assert board["model"].to_list()[:3] == ["ease", "lightgcn", "most_pop"]
    assert board["rank"].to_list() == [1, 2, 3, None, None]
    assert board["stale"].to_list() == [False] * 3 + [True] * 2
    tests = [
        f"{family}_{part}" for family in ("best", "popularity") for part in ("difference", "low", "high", "p")
    ]
    assert board.filter("stale").select(tests).null_count().sum_horizontal().item() == 2 * len(tests)
    assert row_of(board, "freedom")["recall@20"] == row_of(board_of(full_inputs), "freedom")["recall@20"]
    # two tests against the leader are left, so p is adjusted for two
    (one, _) = judged(
        [compare(sample_of(full_inputs, m), sample_of(full_inputs, "ease")) for m in ("lightgcn", "most_pop")]
    )
    assert row_of(board, "lightgcn")["best_p"] == pytest.approx(one.p)


def test_stale_popularity_is_no_reference(full_inputs):
    board = leaderboard(stale(full_inputs, "most_pop"), full_inputs.runs, full_inputs.user_metrics)
    assert board["popularity_p"].is_null().all()


def test_where_all_is_stale_nothing_is_ranked(full_inputs):
    board = leaderboard(
        stale(full_inputs, *board_of(full_inputs)["model"]), full_inputs.runs, full_inputs.user_metrics
    )
    assert board["rank"].is_null().all() and board["best_p"].is_null().all()


def test_walk_forward_leaves_stale_windows_out(build_inputs):
    inputs = build_inputs(windows=("2024-01", "2024-02"))
    old = (pl.col("model") == "ease") & (pl.col("window") == "2024-01")
    board = leaderboard(inputs.metrics.with_columns(stale=old), inputs.runs, inputs.user_metrics)
    table = walk_forward(board)
    row = table.row(by_predicate=pl.col("model") == "ease", named=True)
    assert row["2024-01"] is None and row["2024-02"] > 0 and row["mean"] is None
