"""Dropout from a generator of its own."""

import torch

from mrs_pipeline.functional.dropout import dropout


def test_keeps_the_mean_and_draws_from_the_given_generator():
    x = torch.ones(200, 100)
    before = torch.get_rng_state()
    first = dropout(x, 0.2, torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, dropout(x, 0.2, torch.Generator().manual_seed(1)))
    assert torch.allclose(first.unique(), torch.tensor([0.0, 1.25]))
    assert abs(first.mean() - 1) < 0.02


def test_of_nothing_returns_what_it_got():
    x = torch.ones(3)
    assert dropout(x, 0.0, torch.Generator()) is x
