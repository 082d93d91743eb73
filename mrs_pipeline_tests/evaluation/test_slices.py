"""Slices, the exclusion rule and what selection may see."""

import numpy as np
import pytest

from mrs_pipeline.evaluation.evaluator import ranking_task, user_metrics
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.evaluation.slices import Selection, evaluate
from mrs_pipeline.evaluation.summary import summary_table
from mrs_pipeline.functional import metrics
from mrs_pipeline_tests.toy import COLD_ITEMS, N_ITEMS, interactions, trained


@pytest.fixture(scope="module")
def model(market):
    return trained("vbpr", market.data, epochs=10)


def by_name(results):
    return {result.slice: result for result in results}


def test_slices_are_ranked_among_themselves(model, market):
    found = by_name(evaluate(model, market.data, market.test, EvaluationOptions(ks=(5,))))
    cold = np.isin(np.arange(N_ITEMS), COLD_ITEMS)
    exclude = [market.data.train, market.data.valid]
    for name, candidates in {"all": None, "warm": ~cold, "cold": cold}.items():
        task = ranking_task(market.test, exclude, candidates=candidates)
        assert np.array_equal(found[name].users, task.users.numpy())
        assert np.array_equal(found[name].values["ndcg@5"], user_metrics(model, task, [5])["ndcg@5"])
        assert f"candidates={name} items" in found[name].protocol
    # four cold items are found among five places by everyone who took one
    assert (found["cold"].values["recall@5"] == 1).all()


def test_the_exclusion_rule_is_followed_and_written_down(model, market):
    lenient = by_name(evaluate(model, market.data, market.test, EvaluationOptions(ks=(5,), exclude="train")))[
        "all"
    ]
    strict = by_name(evaluate(model, market.data, market.test, EvaluationOptions(ks=(5,))))["all"]
    assert "exclude=train;" in lenient.protocol
    assert "exclude=train_valid;" in strict.protocol
    assert strict.values["recall@5"].mean() > lenient.values["recall@5"].mean()


def test_a_slice_without_users_is_left_out(model, market):
    warm_only = market.test.items < 36
    test = interactions(np.stack([market.test.users, market.test.items], 1)[warm_only])
    assert set(by_name(evaluate(model, market.data, test, EvaluationOptions()))) == {"all", "warm"}


def test_selection_is_the_mean_over_validation_users(model, market):
    options = EvaluationOptions(select_on="ndcg@7")
    task = ranking_task(market.data.valid, [market.data.train])
    expected = user_metrics(model, task, [7])["ndcg@7"].mean()
    assert Selection(market.data, options, model.device)(model) == pytest.approx(expected)


def test_intervals_hold_the_mean_and_narrow_with_users(model, market):
    result = by_name(evaluate(model, market.data, market.test, EvaluationOptions(ks=(5, 10))))["all"]
    rows = {(row["metric"], row["k"]): row for row in summary_table([result]).to_dicts()}
    assert set(rows) == {(metric, k) for metric in metrics.METRICS for k in (5, 10)}
    row = rows["recall", 5]
    values = result.values["recall@5"].astype(float)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert row["value"] == pytest.approx(values.mean())
    assert row["ci_high"] - row["value"] == pytest.approx(half, rel=0.05)
    assert row["ci_high"] - row["value"] == pytest.approx(row["value"] - row["ci_low"])
    assert row["users"] == len(values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ks": (5, 5)},
        {"ks": (10, 5)},
        {"ks": (0,)},
        {"ks": ()},
        {"select_on": "recall"},
        {"select_on": "auc@5"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"ks|select_on"):
        EvaluationOptions(**wrong)


def test_every_metric_can_select():
    for metric in metrics.METRICS:
        assert EvaluationOptions(select_on=f"{metric}@3").select_k == 3
