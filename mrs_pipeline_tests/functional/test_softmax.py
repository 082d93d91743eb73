"""Cross-entropy over all items, and its estimate from a sample, against the formula; dropout from a generator."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.softmax import full_softmax, in_batch_softmax, sampled_softmax

STATES, ITEMS = (
    torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double(),
    torch.eye(3).double()[[0, 1, 2, 0]],
)
TARGETS = torch.tensor([0, 3, 2, 1, 1])


def expected() -> float:
    logits = (STATES @ ITEMS.T).numpy()
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(5), TARGETS]))


def test_full():
    assert full_softmax(STATES, ITEMS, TARGETS).item() == pytest.approx(expected())


def test_a_sample_that_is_every_item_twice_gives_the_full_softmax():
    negatives = torch.arange(4).repeat(2)
    hits = TARGETS.unsqueeze(1) == negatives
    sampled = sampled_softmax(STATES, ITEMS[TARGETS], ITEMS[negatives], hits, 4)
    assert sampled.item() == pytest.approx(expected())


def test_a_negative_that_is_the_right_item_does_not_count():
    hits = torch.tensor([[True, False]])
    term = sampled_softmax(STATES[:1], ITEMS[[1]], ITEMS[[1, 2]], hits, 4)
    right, other = (STATES[0] @ ITEMS[1]).item(), (STATES[0] @ ITEMS[2]).item() + np.log(4 / 2)
    assert term.item() == pytest.approx(np.log(np.exp(right) + np.exp(other)) - right)


def test_dropout_keeps_the_mean_and_follows_its_generator():
    x = torch.ones(200, 200)
    first = dropout(x, 0.3, torch.Generator().manual_seed(1))
    assert torch.equal(first, dropout(x, 0.3, torch.Generator().manual_seed(1)))
    assert first.mean() == pytest.approx(1, abs=0.01)
    assert sorted(first.unique().tolist()) == pytest.approx([0, 1 / 0.7])
    assert dropout(x, 0, torch.Generator()) is x


def test_in_batch_corrects_for_popularity_and_leaves_out_what_was_taken():
    shares = torch.tensor([0.4, 0.3, 0.2, 0.1]).double()
    spared = torch.zeros(5, 4, dtype=torch.bool)
    spared[0, 1] = spared[1, 3] = True  # the right item itself is never left out: row 1's is item 3
    term = in_batch_softmax(STATES, ITEMS, TARGETS, shares, spared)
    logits = (STATES @ ITEMS.T).numpy() - np.log(shares.numpy())
    logits[0, 1] = -np.inf
    right = logits[np.arange(5), TARGETS]
    assert term.item() == pytest.approx(float(np.mean(np.log(np.exp(logits).sum(1)) - right)))
