"""Users who are held out whole: none of their rows trains, test rows stay, and the share is what was asked for."""

import numpy as np
import pytest
from pydantic import ValidationError

from mrs_pipeline.dataset import DatasetConfig
from mrs_pipeline.splits.labelling import label, label_window
from mrs_pipeline.splits.labels import TEST_LABEL, TRAIN_LABEL, VALID_LABEL
from mrs_pipeline.splits.options import SplitOptions
from mrs_pipeline.stored.training_data import protocol
from mrs_pipeline_tests.stages.working import TINY

USERS = np.repeat(np.arange(100), 10)
ITEMS = np.tile(np.arange(10), 100)
TIMES = np.tile(np.arange(10), 100)


@pytest.mark.parametrize("strategy", ["random", "leave_one_out", "global_time"])
def test_a_share_of_users_trains_nothing_and_their_tests_stay(strategy: str) -> None:
    plain, held = (
        label(SplitOptions(strategy=strategy, held_out_users=share), USERS, ITEMS, TIMES).labels
        for share in (0.0, 0.2)
    )
    out = np.unique(USERS[(plain == TRAIN_LABEL) & (held == VALID_LABEL)])
    assert len(out) == 20
    theirs = np.isin(USERS, out)
    assert not (held[theirs] == TRAIN_LABEL).any()
    assert (held[~theirs] == plain[~theirs]).all()
    assert ((held == TEST_LABEL) == (plain == TEST_LABEL)).all()


def test_so_it_is_in_a_window_and_by_seed() -> None:
    history = TIMES < 8
    first, again, other = (
        label_window(SplitOptions(held_out_users=0.1, seed=seed), USERS, TIMES, history).labels
        for seed in (1, 1, 2)
    )
    out = [set(range(100)) - set(USERS[labels == TRAIN_LABEL].tolist()) for labels in (first, again, other)]
    assert out[0] == out[1] != out[2] and len(out[0]) == len(out[2]) == 10
    assert ((first == TEST_LABEL) == ~history).all()


def test_the_protocol_says_so_and_training_on_them_is_refused() -> None:
    config = DatasetConfig.model_validate({**TINY, "split": {"held_out_users": 0.1}})
    assert "10% of users held out whole" in protocol(config)
    assert "held out" not in protocol(DatasetConfig.model_validate(TINY))
    with pytest.raises(ValidationError, match="does not go with evaluation.refit"):
        DatasetConfig.model_validate(
            {**TINY, "split": {"held_out_users": 0.1}, "evaluation": {"refit": True}}
        )
