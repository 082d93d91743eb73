"""Negatives: never a positive, never an unseen item, every other item, uniformly."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mrs_pipeline.functional.sampling import NegativeSampler


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_draws_exactly_the_items_a_user_left(pairs):
    users, items = (torch.tensor(column) for column in zip(*pairs, strict=True))
    sampler = NegativeSampler.from_pairs(users, items, n_users=6)
    known = set(items.tolist())
    for user in range(6):
        left = known - {item for owner, item in pairs if owner == user}
        assert sampler.free[user] == len(left)
        if left:
            drawn = sampler.draw(torch.full((400,), user), generator())
            assert set(drawn.tolist()) == left


def test_draws_are_uniform():
    users, items = torch.tensor([0, 0, 1]), torch.tensor([3, 5, 9])
    sampler = NegativeSampler.from_pairs(
        torch.cat([users, torch.full((10,), 2)]), torch.cat([items, torch.arange(10)]), n_users=3
    )
    drawn = sampler.draw(torch.zeros(20_000, dtype=torch.int64), generator(1))
    counts = torch.bincount(drawn, minlength=10)
    assert counts[3] == counts[5] == 0
    assert stats.chisquare(np.delete(counts.numpy(), [3, 5])).pvalue > 1e-3


def test_a_user_with_every_item_has_nothing_free():
    sampler = NegativeSampler.from_pairs(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]), n_users=2)
    assert sampler.free.tolist() == [0, 1]


def test_same_generator_state_same_draws():
    sampler = NegativeSampler.from_pairs(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), n_users=2)
    users = torch.tensor([0, 1, 0, 1])
    assert torch.equal(sampler.draw(users, generator(5)), sampler.draw(users, generator(5)))
