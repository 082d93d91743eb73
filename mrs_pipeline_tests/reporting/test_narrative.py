import polars as pl
import pytest

from mrs_pipeline.reporting.leaderboard import leaderboard
from mrs_pipeline.reporting.narrative import (
    choice_for_known,
    choice_for_new,
    gain,
    p_text,
    seconds_text,
    summary,
)


@pytest.fixture(scope="module")
def board(full_inputs):
    return leaderboard(full_inputs.metrics, full_inputs.runs, full_inputs.user_metrics)


def deployed(board):
    rows = board.to_dicts()
    new = choice_for_new(rows)
    return choice_for_known(rows, "recall@20").row["model"], None if new is None else new.row["model"]


def told(board):
    return " ".join(summary(board, "recall@20", "most_pop"))


def altered(board, model, **values):
    """The leaderboard with one model's columns overwritten, sorted and ranked again."""
    changed = board.with_columns(
        pl.when(pl.col("model") == model).then(pl.lit(value, board.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    ).sort("recall@20", descending=True)
    return changed.with_columns(rank=pl.int_range(1, len(changed) + 1))


def test_leader_value_interval_and_users_are_told(board):
    leader = board.row(0, named=True)
    text = told(board)
    assert f"data). {leader['model']} (feature " in text
    assert f"leads the 5 models with recall@20 {leader['recall@20']:.4f} over 300 users." in text
    assert (
        f"With 95 % confidence its true value lies between {leader['recall@20_ci_low']:.4f} and "
        f"{leader['recall@20_ci_high']:.4f}; that allows for chance in who was measured and in the random seeds of "
        "training (2 of them)."
    ) in text


def test_a_separated_baseline_is_called_separated_with_its_numbers(board):
    ease = board.row(by_predicate=pl.col("model") == "ease", named=True)
    text = told(board)
    assert f"{gain(board['recall@20'][0], ease['recall@20'])} against ease" in text
    assert "more than chance explains" in text
    assert f"a lead of {-ease['best_difference']:.4f}" in text


def test_a_baseline_within_noise_is_not_called_beaten(board):
    text = told(altered(board, "ease", best_p=0.4))
    assert "may be chance" in text
    assert "p = 0.400" in text
    assert "Not to be told apart from the leader, so that one of them may be as good:" in text


def test_a_leading_baseline_is_said_plainly(board):
    text = told(altered(board, "ease", **{"recall@20": 0.5, "best_p": None, "best_difference": None}))
    assert "ease (collaborative baseline)" in text
    assert "No model that reads content does better" in text
    assert "That is" not in text


def test_a_leader_that_only_trains_its_encoders_is_one_that_reads_content(full_inputs):
    cells = pl.when(pl.col("model") == "freedom").then(pl.lit(["optimisation/end_to_end"])).otherwise("cells")
    runs = full_inputs.runs.with_columns(cells=cells)
    board = leaderboard(full_inputs.metrics, runs, full_inputs.user_metrics)
    text = told(altered(board, "freedom", **{"recall@20": 0.5}))
    assert "freedom (model optimisation) leads" in text
    assert "the best model that sees no content" in text


def test_leading_popularity_is_said_plainly(board):
    text = told(altered(board, "most_pop", **{"recall@20": 0.5}))
    assert "Nothing beats most_pop here" in text


def test_untested_differences_are_called_untested(full_inputs):
    text = told(leaderboard(full_inputs.metrics, full_inputs.runs))
    assert "could not be tested" in text
    assert "chance explains" not in text and "may be chance" not in text


def test_cold_items_stand_beside_chance_and_who_cannot_rank_them(board):
    blind = board
    for model in ("lightgcn", "ease", "most_pop"):
        nothing = dict.fromkeys(("cold_metric", "cold_value", "cold_low", "cold_high", "cold_chance"))
        blind = altered(blind, model, **nothing)
    text = told(blind)
    assert "for new items too" in text or "for new items " in text
    assert (
        "On the 1,000 cold items, which have no event in training, freedom finds 0.0500 of what 40 users took"
        in text
    )
    assert "among the first 20 of a list" in text
    assert "a random order finds 0.0200: that is more than chance." in text
    assert "They see no content and cannot rank these items: ease, lightgcn and most_pop." in text


@pytest.mark.parametrize(
    ("low", "p", "words"),
    [
        (
            0.01,
            0.2,
            (
                "a random order finds 0.0200, so it may be chance",
                "no model is shown to be better than chance",
            ),
        ),
        (
            0.03,
            0.2,
            (
                "lightgcn, which compares content and learns nothing of it, finds 0.0300 (may be chance, p = 0.200)",
            ),
        ),
        (0.03, 0.001, ("finds 0.0300 (more than chance, p = 0.001)",)),
        (0.03, None, ("finds 0.0300 (that could not be tested)",)),
    ],
)
def test_what_is_claimed_of_cold_items(board, low, p, words):
    frame = altered(board.filter(pl.col("model") != "bm3"), "lightgcn", cold_value=0.03, cold_best_p=p)
    text = told(altered(frame, "freedom", cold_value=0.05, cold_low=low))
    for part in words:
        assert part in text


def test_who_should_be_deployed_stands_first(board):
    assert told(board).startswith("For items with a history deploy ")
    known, new = deployed(board)
    assert (
        known == "bm3" and new == "freedom"
    )  # bm3 ties with freedom and is cheaper; freedom alone finds new items
    assert deployed(altered(board, "bm3", best_p=0.01))[0] == "freedom"
    assert deployed(altered(board, "ease", best_p=0.05))[0] == "ease"  # the cheapest of three that are tied
    assert deployed(altered(board, "bm3", cold_value=0.9, cold_low=0.8)) == ("bm3", "bm3")
    assert ", and for new items too." in told(altered(board, "bm3", cold_value=0.9, cold_low=0.8))


def test_items_with_a_history_are_asked_about_alone(board):
    warm = "warm_recall@20"
    tested = altered(altered(board, "bm3", **{warm: 0.4}), "ease", **{warm: 0.3, "warm_best_p": 0.01})
    assert deployed(tested)[0] == "bm3"  # freedom leads on all items
    assert deployed(altered(tested, "ease", warm_best_p=0.2))[0] == "ease"  # tied there, and cheaper


def test_a_tie_on_new_items_goes_to_the_cheapest_and_chance_to_nobody(board):
    tied = altered(board, "bm3", cold_low=0.025, cold_best_p=0.3)
    assert deployed(tied)[1] == "bm3"
    assert deployed(altered(tied, "bm3", cold_low=0.019))[1] == "freedom"  # tied, yet not above chance
    assert deployed(altered(board, "freedom", cold_low=0.01))[1] is None


def test_no_cold_slice_no_cold_sentence(full_inputs):
    frame = leaderboard(
        full_inputs.metrics.filter(pl.col("slice") == "all"), full_inputs.runs, full_inputs.user_metrics
    )
    assert "cold" not in told(frame)


def test_models_below_popularity_are_named(board):
    assert "Below popularity: lightgcn." in told(altered(board, "lightgcn", **{"recall@20": 0.001}))


def test_why_one_is_deployed_is_said(board):
    rows = altered(board, "ease", best_p=0.3).to_dicts()
    assert choice_for_known(rows, "recall@20").why == (
        f"not to be told apart from freedom (recall@20 {rows[2]['recall@20']:.4f} against {rows[0]['recall@20']:.4f}, "
        "p = 0.300) and the cheapest to train of 3 such"
    )
    alone = altered(board, "bm3", best_p=0.001).to_dicts()
    assert choice_for_known(alone, "recall@20").why.startswith("the most accurate, recall@20 0.1")


def test_one_seed_is_admitted(full_inputs, board):
    assert "one seed" not in told(board)
    first = full_inputs.metrics.filter(pl.col("seed") == 0)
    text = told(leaderboard(first, full_inputs.runs, full_inputs.user_metrics))
    assert "allows for chance in who was measured, not for luck in training, which was done once." in text
    assert "cover users alone, not luck in training: " in text
    assert "ease" not in text[text.index("cover users alone") :].split(".")[0]  # it has no luck in training


def test_uneven_search_of_settings_is_told(board):
    assert (
        "Settings were not searched for evenly: for freedom (20 trials) and ease (7 trials); "
        "not for bm3 and lightgcn, whose places may understate them."
    ) in told(board)
    alike = board.with_columns(trials=pl.when(pl.col("trials").is_not_null()).then(20))
    assert "Settings were searched for each model alike, with 20 trials." in told(alike)
    assert "No model's settings were searched for" in told(board.with_columns(trials=pl.col("trials") * 0))
    assert "ettings" not in told(board.with_columns(trials=pl.lit(None, pl.Int64)))


def test_stale_models_are_named_and_lead_nothing(full_inputs):
    old = full_inputs.metrics.with_columns(stale=pl.col("model").is_in(["freedom", "bm3"]))
    text = told(leaderboard(old, full_inputs.runs, full_inputs.user_metrics))
    assert "ease (collaborative baseline) leads the 3 models" in text
    assert "Measured on older data and therefore not ranked: " in text


def test_one_model_without_anything(bare_inputs):
    board = leaderboard(bare_inputs.metrics)
    assert told(board).startswith("ease is the only model here, with recall@20")


def test_small_formats():
    assert gain(0.12, 0.1) == "+20.0 %"
    assert gain(0.09, 0.1) == "−10.0 %"
    assert gain(0.3, 0.1) == "3.0×"
    assert gain(0.3, 0.0) == "from zero"
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.0124) == "p = 0.012"
    assert [seconds_text(s) for s in (0.42, 42, 200, 3900, 59.7)] == [
        "0.42 s",
        "42 s",
        "3 min 20 s",
        "1 h 05 min",
        "1 min 00 s",
    ]
