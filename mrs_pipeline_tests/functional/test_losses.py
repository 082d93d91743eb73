"""Losses against their formulas, and their gradients against finite differences."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.losses import (
    bpr,
    bpr_inner,
    embedding_norm,
    grace,
    info_nce,
    info_nce_counted,
    squared_norm,
)

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


def cosines(left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    one, two = left.detach().numpy(), right.detach().numpy()
    return one @ two.T / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(two, axis=1)[None, :]


def test_info_nce_is_minus_the_mean_log_softmax_of_cosines():
    weights = np.exp(cosines(ROWS[0], ROWS[1]) / 0.3)
    expected = -np.mean(np.log(np.diag(weights) / weights.sum(1)))
    assert abs(info_nce(ROWS[0], ROWS[1], 0.3).item() - expected) < 1e-12


def test_a_counted_row_stands_for_its_repetitions():
    counts, repeated = torch.tensor([1, 3, 2, 1, 1]), torch.tensor([0, 1, 1, 1, 2, 2, 3, 4])
    whole = info_nce(ROWS[0][repeated], ROWS[1][repeated], 0.3)
    counted = info_nce_counted(ROWS[0], ROWS[1], counts, 0.3)
    assert torch.allclose(whole, counted)
    for one, two in zip(
        torch.autograd.grad(whole, ROWS[:2]), torch.autograd.grad(counted, ROWS[:2]), strict=True
    ):
        assert torch.allclose(one, two)


def test_grace_has_the_other_anchors_among_its_negatives():
    between, within = (
        np.exp(cosines(ROWS[0], ROWS[1]) / 0.3),
        np.exp(cosines(ROWS[0], ROWS[0]) / 0.3),
    )
    total = between.sum(1) + within.sum(1) - np.diag(within)
    assert abs(grace(ROWS[0], ROWS[1], 0.3).item() + np.mean(np.log(np.diag(between) / total))) < 1e-12


@pytest.mark.parametrize("loss", [info_nce, grace])
def test_contrasts_survive_a_cold_softmax(loss):
    rows = [row.float() for row in ROWS[:2]]
    assert loss(*rows, 1e-3).isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss(*rows, 1e-3), ROWS[:2]))


def test_gradients_of_contrasts():
    counts = torch.tensor([1, 3, 2, 1, 1])
    assert torch.autograd.gradcheck(lambda a, b: info_nce(a, b, 0.3), ROWS[:2])
    assert torch.autograd.gradcheck(lambda a, b: info_nce_counted(a, b, counts, 0.3), ROWS[:2])
    assert torch.autograd.gradcheck(lambda a, b: grace(a, b, 0.3), ROWS[:2])
