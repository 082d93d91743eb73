"""Every pair once an epoch, in a random order, with a negative that is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrs_pipeline.errors import InputError
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import SOURCES, PairSource
from mrs_pipeline.types import TrainingData
from mrs_pipeline_tests.toy import interactions


@pytest.fixture
def inputs(market) -> ModelInputs:
    return ModelInputs.from_data(market.data)


def joined(source: PairSource, seed: int) -> torch.Tensor:
    batches = list(source.epoch(torch.Generator().manual_seed(seed)))
    assert len(batches) == source.n_batches
    return torch.cat([torch.stack([batch.users, batch.positives, batch.negatives], 1) for batch in batches])


def test_each_pair_once_and_no_positive_as_negative(inputs, market):
    rows = joined(PairSource(inputs, 50), seed=0)
    pairs = set(zip(inputs.users.tolist(), inputs.items.tolist(), strict=True))
    assert len(rows) == len(pairs) == len(market.data.train)
    assert {(user, item) for user, item, _ in rows.tolist()} == pairs
    assert not pairs & {(user, item) for user, _, item in rows.tolist()}
    assert rows[:, 2].max() < 36  # cold items are never drawn


def test_order_and_negatives_follow_the_generator(inputs):
    source = PairSource(inputs, 50)
    assert torch.equal(joined(source, 1), joined(source, 1))
    first, second = joined(source, 1), joined(source, 2)
    assert not torch.equal(first[:, :2], second[:, :2])
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(next(source.epoch(generator)).users, next(source.epoch(generator)).users)


def test_repeated_pairs_count_once(market):
    train = market.data.train
    columns = {name: np.repeat(getattr(train, name), 2) for name in ("users", "items", "times")}
    doubled = replace(train, **columns)
    inputs = ModelInputs.from_data(replace(market.data, train=doubled))
    assert len(joined(PairSource(inputs, 50), 0)) == len(train)


def test_users_with_every_item_are_left_out():
    train = interactions(np.array([[0, 0], [0, 1], [1, 0]]), 2, 2)
    source = PairSource(ModelInputs.from_data(TrainingData(train, train)), 10)
    assert joined(source, 0).tolist() == [[1, 0, 1]]


def test_nothing_to_learn_from_is_refused():
    train = interactions(np.array([[0, 0], [0, 1]]), 1, 2)
    with pytest.raises(InputError, match="no training interaction to learn a ranking from"):
        PairSource(ModelInputs.from_data(TrainingData(train, train)), 10)


def test_every_kind_has_a_source():
    assert set(SOURCES) == set(BatchKind) - {BatchKind.NONE}
