"""Signatures of failed trainings against their formulas."""

import pytest
import torch

from mrs_pipeline.functional.signatures import (
    cosines_of_gradients,
    lost_after_best,
    shares_of_scores,
    shares_of_weights,
)


def test_shares_of_scores_are_variances_of_what_paths_add() -> None:
    draw = torch.Generator().manual_seed(1)
    users = torch.randn(5, 4, generator=draw)
    paths = {name: torch.randn(7, 4, generator=draw) for name in ("text", "image")}
    parts = {
        name: sum(float((rows @ user).var(unbiased=False)) for user in users) / len(users)
        for name, rows in paths.items()
    }
    shares = shares_of_scores(users, paths)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["text"] == pytest.approx(parts["text"] / sum(parts.values()), rel=1e-5)
    dead = shares_of_scores(users, {**paths, "audio": torch.ones(7, 4)})
    assert dead["audio"] == pytest.approx(0, abs=1e-9), "the same for all items decides nothing"
    assert shares_of_scores(users, {"text": torch.zeros(7, 4)}) == {"text": 0.0}


def test_shares_of_weights_take_dense_and_sparse() -> None:
    dense = torch.tensor([[0.0, 3.0], [0.0, 0.0]])
    shares = shares_of_weights(
        {"text": dense, "image": torch.tensor([[0.0, 0.0], [4.0, 0.0]]).to_sparse_csr()}
    )
    assert shares == pytest.approx({"text": 9 / 25, "image": 16 / 25})


@pytest.mark.parametrize(
    ("scores", "losses", "lost"),
    [
        ([0.2, 0.4, 0.1], [3.0, 2.0, 1.0], 0.75),
        ([0.2, 0.4, 0.1], [3.0, 1.0, 2.0], 0.0),
        ([0.2, 0.3, 0.4], [3.0, 2.0, 1.0], 0.0),
        ([0.0, 0.0], [2.0, 1.0], 0.0),
        ([], [], 0.0),
    ],
)
def test_what_was_lost_after_the_best_epoch(scores: list[float], losses: list[float], lost: float) -> None:
    assert lost_after_best(scores, losses) == pytest.approx(lost)


def test_cosines_are_of_shared_parameters_alone() -> None:
    both, own = (torch.tensor(values, requires_grad=True) for values in ([1.0, 2.0, -1.0], [3.0]))
    a, b = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([2.0, 1.0, -3.0])
    terms = {"a": both @ a + 5 * own.sum(), "b": both @ b, "c": own.sum(), "d": torch.tensor(1.0)}
    found = cosines_of_gradients(terms, [both, own])
    assert set(found) == {("a", "b"), ("a", "c")}  # b and c share none, d has none
    assert found["a", "b"] == pytest.approx(float(a @ b / (a.norm() * b.norm())))
    assert found["a", "c"] == pytest.approx(1)
