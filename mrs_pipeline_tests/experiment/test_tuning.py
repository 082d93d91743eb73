"""The search: whole grid where it is small, seeded otherwise, validation only."""

import json

import pytest

from mrs_pipeline.errors import InputError
from mrs_pipeline.training.options import TrainingOptions
from mrs_pipeline.tuning import tune

QUICK = TrainingOptions(epochs=2, batch_size=64)
NARROW = {"embedding_size": 8, "learning_rate": 0.05}


def test_a_small_grid_is_searched_whole(market):
    found = tune(market.data, "bpr_mf", NARROW, trials=5, training=QUICK)
    tried = [json.loads(overrides) for overrides in found.trials["overrides"]]
    assert sorted(each["reg_weight"] for each in tried) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert found.score == found.trials["score"].max()
    best = found.trials.filter(found.trials["score"] == found.score)["overrides"].to_list()
    assert json.dumps(dict(found.overrides)) in best
    assert found.overrides["embedding_size"] == 8


def test_a_large_space_is_sampled_alike_for_the_same_seed(market):
    first = tune(market.data, "freedom", NARROW, trials=3, seed=2, training=QUICK)
    again = tune(market.data, "freedom", NARROW, trials=3, seed=2, training=QUICK)
    assert len(first.trials) == 3
    assert first.trials.drop("seconds").equals(again.trials.drop("seconds"))


def test_fixed_settings_are_not_searched(market):
    with pytest.raises(InputError, match="model 'ease' has no setting left to search"):
        tune(market.data, "ease", {"reg_weight": 3.0}, trials=1)
