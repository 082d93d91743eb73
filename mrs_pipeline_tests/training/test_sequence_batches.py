"""Subsequences of histories: every training interaction a target once an epoch, never more memory than asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.sequences import PAD
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.training.sequence_batches import SequenceSource
from mrs_pipeline.types import TrainingData
from mrs_pipeline_tests.toy import N_ITEMS, interactions


@pytest.fixture
def inputs(market) -> ModelInputs:
    return ModelInputs.from_data(market.data)


def epoch(source: SequenceSource, seed: int = 0) -> list:
    return list(source.epoch(torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("length", [1, 3, 50])
def test_each_training_row_is_a_target_once(inputs, length):
    batches = epoch(SequenceSource(inputs, 40, length))
    found = []
    for batch in batches:
        asked = batch.targets != PAD
        assert torch.equal(asked, batch.tokens != PAD)
        owners = batch.users.unsqueeze(1).expand_as(batch.targets)[asked]
        found += list(zip(owners.tolist(), batch.targets[asked].tolist(), strict=True))
    assert sorted(found) == sorted(zip(inputs.users.tolist(), inputs.items.tolist(), strict=True))


def test_tokens_come_before_targets(inputs, market):
    when = {
        (u, i): t
        for u, i, t in zip(inputs.users.tolist(), inputs.items.tolist(), inputs.times.tolist(), strict=True)
    }
    for batch in epoch(SequenceSource(inputs, 64, 50)):
        for user, tokens, targets in zip(
            batch.users.tolist(), batch.tokens.tolist(), batch.targets.tolist(), strict=True
        ):
            for token, target in zip(tokens, targets, strict=True):
                if token not in (PAD, N_ITEMS):
                    assert when[user, token] < when[user, target]


def test_batch_size_counts_training_rows(inputs):
    source = SequenceSource(inputs, 60, 50)
    sizes = [int((batch.targets != PAD).sum()) for batch in epoch(source)]
    assert source.n_batches == len(sizes)
    assert 40 < np.mean(sizes[:-1]) < 80
    assert all(batch.tokens.shape[1] == (batch.targets != PAD).sum(1).max() for batch in epoch(source))


def test_order_follows_the_generator(inputs):
    source = SequenceSource(inputs, 64)
    assert torch.equal(epoch(source, 1)[0].users, epoch(source, 1)[0].users)
    assert not torch.equal(epoch(source, 1)[0].users, epoch(source, 2)[0].users)


def test_pairs_come_in_the_same_order_with_and_without_times(market):
    train = market.data.train
    without = interactions(np.stack([train.users, train.items], 1))
    timed, plain = (ModelInputs.from_data(replace(market.data, train=part)) for part in (train, without))
    assert torch.equal(timed.users, plain.users) and torch.equal(timed.items, plain.items)
    assert plain.times is None
    assert dict(zip(zip(train.users, train.items, strict=True), train.times, strict=True)) == dict(
        zip(zip(timed.users.tolist(), timed.items.tolist(), strict=True), timed.times.tolist(), strict=True)
    )


def test_nothing_to_learn_from_is_refused():
    nothing = interactions(np.zeros((0, 2)), 2, 2, times=np.zeros((2, 2), np.int64))
    with pytest.raises(InputError, match="no training interaction with a time"):
        SequenceSource(ModelInputs.from_data(TrainingData(nothing, nothing)), 10)
