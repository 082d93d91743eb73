"""Losses against their formulas, and their gradients against finite differences."""

import numpy as np
import torch

from mrs_pipeline.functional.losses import bpr, bpr_inner, embedding_norm, squared_norm

ROWS = [
    torch.tensor(np.random.default_rng(seed).normal(size=(5, 3)), requires_grad=True) for seed in range(3)
]


def test_bpr_is_minus_mean_log_sigmoid():
    positive, negative = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])
    expected = -np.mean(np.log(1 / (1 + np.exp(-np.array([0.5, -1.0])))))
    assert abs(bpr(positive - negative).item() - expected) < 1e-6


def test_bpr_is_finite_for_huge_gaps():
    assert bpr(torch.tensor([-2e4])).item() == 2e4


def test_bpr_inner_scores_by_inner_products():
    users, positives, negatives = ROWS
    gaps = (users * positives).sum(1) - (users * negatives).sum(1)
    assert torch.allclose(bpr_inner(users, positives, negatives), bpr(gaps))


def test_embedding_norm_is_not_squared():
    expected = sum(np.sqrt((row.detach().numpy() ** 2).sum()) for row in ROWS) / 5
    assert abs(embedding_norm(*ROWS).item() - expected) < 1e-12


def test_squared_norm_is_halved():
    expected = sum((row.detach().numpy() ** 2).sum() for row in ROWS) / 2 / 5
    assert abs(squared_norm(*ROWS).item() - expected) < 1e-12


def test_gradients():
    for loss in (bpr_inner, embedding_norm, squared_norm):
        assert torch.autograd.gradcheck(loss, ROWS)
