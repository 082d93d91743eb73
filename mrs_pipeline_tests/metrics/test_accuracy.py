"""Accuracy from places: against a naive loop over users and against an outside library."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.metrics.evidence import Background, Evidence
from mrs_pipeline.metrics.registry import METRICS, metrics_of
from mrs_pipeline.types import Interactions
from mrs_pipeline_tests.metrics.worlds import world

KS = (1, 2, 5)
N_ITEMS = 9
SIX = ("recall", "ndcg", "precision", "map", "mrr", "hit")


def naive(ranked: list[int], truth: set[int], k: int) -> dict[str, float]:
    hits = [item in truth for item in ranked[:k]]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(truth), k)))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits)) if hits[rank]]
    return {
        "recall": sum(hits) / len(truth),
        "precision": sum(hits) / k,
        "ndcg": sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits)) / ideal,
        "map": sum(precisions) / min(len(truth), k),
        "mrr": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
        "hit": float(any(hits)),
    }


def naive_auc(order: list[int], truth: set[int]) -> float:
    others = [item for item in order if item not in truth]
    pairs = [(good, bad) for good in truth for bad in others]
    return (
        sum(order.index(good) < order.index(bad) for good, bad in pairs) / len(pairs) if pairs else math.nan
    )


def places(orders: list[list[int]], truths: list[set[int]]) -> Evidence:
    """Evidence of places alone, as selection has it."""
    found = sorted(
        (row, order.index(item) + 1, item)
        for row, (order, truth) in enumerate(zip(orders, truths, strict=True))
        for item in truth
    )
    rows, ranks, items = np.array(found, np.int64).reshape(-1, 3).T
    none = np.zeros(0, np.int64)
    return Evidence(
        users=np.arange(len(orders)),
        ranks=ranks,
        rows=rows,
        items=items,
        candidates=np.full(len(orders), N_ITEMS),
        catalogue=N_ITEMS,
        background=Background(Interactions(none, none, len(orders), N_ITEMS)),
    )


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
    evidence = places(orders, truths)
    for k in KS:
        expected = [naive(order, truth, k) for order, truth in zip(orders, truths, strict=True)]
        for metric in metrics_of(SIX):
            values = [each[metric.name] for each in expected]
            assert metric.per_user(evidence, k).tolist() == pytest.approx(values, abs=1e-12), (metric.name, k)


@pytest.mark.parametrize("seed", range(20))
def test_auc_is_the_share_of_pairs_in_the_right_order(seed):
    found = world(seed)
    expected = [naive_auc(*each) for each in zip(found.orders, found.truths, strict=True)]
    auc, gauc = metrics_of(["auc", "gauc"])
    values = auc.per_user(found.evidence, 0)
    assert values.tolist() == pytest.approx(expected, nan_ok=True)
    weights = [len(truth) for truth in found.truths]
    known = [(value, weight) for value, weight in zip(expected, weights, strict=True) if value == value]
    total = sum(weight for _, weight in known)
    by_hand = sum(value * weight for value, weight in known) / total if known else math.nan
    assert gauc.overall(found.evidence, 0) == pytest.approx(by_hand, nan_ok=True)


def test_auc_by_hand():
    # relevant at 1 and 4 of 5: below the first stand 3 others, below the second 1; of 2 x 3 pairs
    evidence = places([[0, 1, 2, 3, 4, 5, 6, 7, 8]], [{0, 3}])
    assert metrics_of(["auc"])[0].per_user(evidence, 0).tolist() == [pytest.approx((7 + 5) / 14)]
    everything = places([list(range(N_ITEMS))], [set(range(N_ITEMS))])
    assert np.isnan(metrics_of(["auc"])[0].per_user(everything, 0)).all()


def test_map_is_divided_by_what_the_list_can_hold():
    evidence = places([list(range(N_ITEMS))], [{0, 1, 2, 3}])
    (mean_average_precision,) = metrics_of(["map"])
    assert mean_average_precision.per_user(evidence, 2).tolist() == [1.0]  # ranx and RecTools: 2 / 4
    assert mean_average_precision.per_user(evidence, 5).tolist() == [1.0]


def test_nobody_gives_empty_values():
    none = np.zeros(0, np.int64)
    evidence = Evidence(none, none, none, none, none, 0, Background(Interactions(none, none, 0, 0)))
    for metric in METRICS.values():
        if metric.selects or metric.name == "auc":
            assert metric.per_user(evidence, 5).shape == (0,)


def test_agrees_with_torch_geometric():
    link_pred = pytest.importorskip("torch_geometric.metrics")
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N_ITEMS).tolist() for _ in range(40)]
    truths = [set(rng.choice(N_ITEMS, rng.integers(1, 6), replace=False).tolist()) for _ in range(40)]
    evidence = places(orders, truths)
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
    assert set(theirs) == set(SIX)
    for metric in metrics_of(SIX):
        measured = theirs[metric.name](k=5)
        measured.update(ranked, edges)
        mine = metric.per_user(evidence, 5).mean()
        assert mine == pytest.approx(float(measured.compute()), abs=1e-6), metric.name


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.chance is not None])
@pytest.mark.parametrize("n_relevant", [1, 2, 4])
def test_chance_is_the_mean_over_every_order(name, n_relevant):
    orders = [list(order) for order in itertools.permutations(range(5))]
    found = places(orders, [set(range(n_relevant))] * len(orders))
    found = replace(found, candidates=np.full(len(orders), 5), catalogue=5)
    metric = METRICS[name]
    assert metric.per_user is not None and metric.chance is not None
    for k in (1, 3, 5, 8):
        assert metric.chance(found, k) == pytest.approx(metric.per_user(found, k).mean())
