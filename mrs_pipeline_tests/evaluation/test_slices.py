"""Slices, the exclusion rule and what selection may see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.evaluation.evaluator import ranking_evidence, ranking_task, user_metrics
from mrs_pipeline.evaluation.options import EvaluationOptions
from mrs_pipeline.evaluation.slices import Selection, evaluate
from mrs_pipeline.fitting import measure
from mrs_pipeline.metrics.evidence import Background
from mrs_pipeline.metrics.registry import METRICS, metrics_of
from mrs_pipeline_tests.toy import COLD_ITEMS, N_ITEMS, interactions, trained


@pytest.fixture(scope="module")
def model(market):
    return trained("vbpr", market.data, epochs=10)


def measured(model, market, task, label):
    """The values of one metric for the users of a task."""
    name, _, k = label.partition("@")
    evidence = ranking_evidence(model, task, Background(market.data.train))
    return user_metrics(evidence, metrics_of([name]), [int(k)])[label]


def by_name(results):
    return {result.slice: result for result in results}


def test_slices_are_ranked_among_themselves(model, market):
    found = by_name(evaluate(model, market.data, market.test, EvaluationOptions(ks=(5,))))
    cold = np.isin(np.arange(N_ITEMS), COLD_ITEMS)
    exclude = [market.data.train, market.data.valid]
    for name, candidates in {"all": None, "warm": ~cold, "cold": cold}.items():
        task = ranking_task(market.test, exclude, candidates=candidates)
        assert np.array_equal(found[name].users, task.users.numpy())
        assert np.array_equal(found[name].values["ndcg@5"], measured(model, market, task, "ndcg@5"))
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
    expected = measured(model, market, task, "ndcg@7").mean()
    assert Selection(market.data, options, model.device)(model) == pytest.approx(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ks": (5, 5)},
        {"ks": (10, 5)},
        {"ks": (0,)},
        {"ks": ()},
        {"select_on": "recall"},
        {"select_on": "auc"},
        {"select_on": "auc@5"},
        {"select_on": "coverage@5"},
        {"select_on": "novelty@5"},
        {"metrics": ("recall", "recall")},
        {"metrics": ("recal",)},
        {"metrics": ()},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"ks|select_on|metrics"):
        EvaluationOptions(**wrong)


def test_every_accuracy_metric_can_select(model, market):
    task = ranking_task(market.data.valid, [market.data.train])
    for metric in METRICS.values():
        if metric.selects:
            options = EvaluationOptions(select_on=f"{metric.name}@3")
            assert (options.select_metric, options.select_k) == (metric.name, 3)
            expected = measured(model, market, task, f"{metric.name}@3").mean()
            assert Selection(market.data, options, model.device)(model) == pytest.approx(expected)


def test_accuracy_only_keeps_the_rules_and_what_selects():
    options = EvaluationOptions(
        metrics=("recall", "ndcg", "gini", "auc"), ks=(5, 20), select_on="mrr@7", exclude="train"
    )
    arms = options.accuracy_only()
    assert arms.metrics == ("recall", "ndcg", "mrr")
    assert arms.ks == (5, 7, 20)
    assert (arms.select_on, arms.exclude) == ("mrr@7", "train")


def test_models_without_content_rank_no_cold_item(market):
    """Cold figures of a model that cannot see them would be an order of item numbers."""
    options = EvaluationOptions(ks=(2,), metrics=("recall", "coverage"))
    seeing, blind = (
        by_name(evaluate(trained(name, market.data, epochs=1), market.data, market.test, options))
        for name in ("vbpr", "bpr_mf")
    )
    assert set(seeing) == {"all", "warm", "cold"}
    assert set(blind) == {"all", "warm"}
    assert seeing["cold"].candidates == len(COLD_ITEMS)
    assert seeing["cold"].chance["recall@2"] == pytest.approx(0.5)
    assert seeing["all"].candidates == N_ITEMS


def test_candidates_limit_what_is_ranked_and_looked_for(market):
    candidates = np.ones(N_ITEMS, bool)
    candidates[COLD_ITEMS[2:]] = False
    data = replace(market.data, candidates=candidates)
    options = EvaluationOptions(ks=(1,), metrics=("recall",))
    found = by_name(evaluate(trained("vbpr", data, epochs=1), data, market.test, options))
    assert found["all"].candidates == N_ITEMS - 2
    assert found["cold"].candidates == 2
    wanted = set(market.test.users[np.isin(market.test.items, COLD_ITEMS[:2])].tolist())
    assert set(found["cold"].users.tolist()) <= wanted


@pytest.fixture
def with_new_users(market):
    """The market with users 50 to 57 moved out of training: their training rows are the validation now."""
    train, valid = market.data.train, market.data.valid
    new = np.arange(50, 58)
    late = np.isin(train.users, new)
    pairs = np.stack([train.users, train.items], 1)
    held = np.stack([valid.users, valid.items], 1)
    return replace(
        market.data,
        train=interactions(pairs[~late]),
        valid=interactions(np.concatenate([held, pairs[late]])),
    )


def test_new_users_have_a_slice_of_their_own(with_new_users, market):
    data = with_new_users
    test = interactions(np.stack([market.test.users, market.test.items], 1))
    options = EvaluationOptions(ks=(5,), metrics=("recall",))
    found = {}
    for name in ("dmrl", "vbpr", "ease", "most_pop"):
        metrics = measure(trained(name, data, epochs=1), data, test, options, seed=1).metrics
        found[name] = {row["slice"]: row for row in metrics.to_dicts()}
    asked = set(test.users.tolist())
    new = asked & {user for user in asked if not data.users_trained[user]}
    for name, rows in found.items():
        assert rows["new users"]["users"] == len(new), name
        assert rows["all"]["users"] + rows["new users"]["users"] == len(asked), name
    # DMRL makes nothing of a history, so they get what is popular; VBPR folds it in
    assert found["dmrl"]["new users"]["ranked_by"] == "popularity"
    assert found["vbpr"]["new users"]["ranked_by"] == "history"
    assert found["ease"]["new users"]["ranked_by"] == "history"
    assert found["ease"]["all"]["ranked_by"] == "model"
    assert found["dmrl"]["new users"]["value"] < found["ease"]["new users"]["value"]
    # the history decides: without it EASE has nothing better than popularity to say
    blank = replace(data, valid=interactions(np.zeros((0, 2))))
    lists = measure(trained("ease", blank, epochs=1), blank, test, options, seed=1).metrics
    (row,) = lists.filter(slice="new users").to_dicts()
    assert row["ranked_by"] == "popularity"
    assert row["value"] == found["dmrl"]["new users"]["value"] or row["users"] == len(new)


def test_selection_asks_no_user_without_training_rows(with_new_users):
    data = with_new_users
    selection = Selection(data, EvaluationOptions(), torch.device("cpu"))
    assert selection.n_users == len(set(data.valid.users.tolist()) & set(data.train.users.tolist()))
