"""Metrics against a naive loop over users and against an outside library."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mrs_pipeline.functional.metrics import METRICS, ranking_metrics

KS = (1, 2, 5)
N_ITEMS = 9


def naive(ranked: list[int], truth: set[int], k: int) -> dict[str, float]:
    hits = [item in truth for item in ranked[:k]]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(truth), k)))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(k) if hits[rank]]
    return {
        "recall": sum(hits) / len(truth),
        "precision": sum(hits) / k,
        "ndcg": sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits)) / ideal,
        "map": sum(precisions) / min(len(truth), k),
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
        "hit": float(any(hits)),
    }


def places(orders: list[list[int]], truths: list[set[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ranks and rows of the true items, as the evaluator would hand them over."""
    pairs = [
        (order.index(item) + 1, row)
        for row, (order, truth) in enumerate(zip(orders, truths, strict=True))
        for item in sorted(truth)
    ]
    ranks, rows = zip(*pairs, strict=True)
    return torch.tensor(ranks), torch.tensor(rows)


@given(
    st.lists(
        st.tuples(st.permutations(range(N_ITEMS)), st.sets(st.integers(0, 8), min_size=1)),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_equal_to_a_loop_over_users(rows):
    orders, truths = [list(order) for order, _ in rows], [truth for _, truth in rows]
    metrics = ranking_metrics(*places(orders, truths), len(rows), KS)
    assert set(metrics) == {f"{metric}@{k}" for metric in METRICS for k in KS}
    for row, (order, truth) in enumerate(rows):
        for k in KS:
            for metric, value in naive(list(order), truth, k).items():
                assert metrics[f"{metric}@{k}"][row].item() == pytest.approx(value, abs=1e-12), (metric, k)


def test_nobody_gives_empty_metrics():
    none = torch.zeros(0, dtype=torch.int64)
    assert all(values.shape == (0,) for values in ranking_metrics(none, none, 0, KS).values())


def test_agrees_with_torch_geometric():
    link_pred = pytest.importorskip("torch_geometric.metrics")
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N_ITEMS).tolist() for _ in range(40)]
    truths = [set(rng.choice(N_ITEMS, rng.integers(1, 6), replace=False).tolist()) for _ in range(40)]
    mine = ranking_metrics(*places(orders, truths), 40, [5])
    edges = torch.tensor([(row, item) for row, truth in enumerate(truths) for item in truth]).T
    ranked = torch.tensor(orders)[:, :5]
    theirs = {
        "recall": link_pred.LinkPredRecall,
        "precision": link_pred.LinkPredPrecision,
        "ndcg": link_pred.LinkPredNDCG,
        "map": link_pred.LinkPredMAP,
        "mrr": link_pred.LinkPredMRR,
        "hit": link_pred.LinkPredHitRatio,
    }
    for metric, outside in theirs.items():
        measured = outside(k=5)
        measured.update(ranked, edges)
        assert mine[f"{metric}@5"].mean().item() == pytest.approx(float(measured.compute()), abs=1e-6), metric
