"""Weighted draws of neighbours and the contexts that walks meet, against counting by hand."""

from collections import Counter

import numpy as np
import pytest
import torch

from mrs_pipeline.functional import neighbourhoods
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.graphs import shared_partners_graph
from mrs_pipeline.functional.neighbourhoods import NOBODY, NeighbourSampler, contexts
from mrs_pipeline.functional.sparse import Csr


def graph_of(weights: np.ndarray) -> Csr:
    rows, columns = np.nonzero(weights)
    values = torch.from_numpy(weights[rows, columns]).float()
    return Csr.from_pairs(torch.from_numpy(rows), torch.from_numpy(columns), values, weights.shape)


WEIGHTS = np.array(
    [
        [9.0, 1.0, 3.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, -2.0, 0.0],
        [0.0, 0.0, 5.0, 0.0, 0.0],
        [0.5, 0.25, 0.25, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
"""Node 2 has only itself, node 4 nobody; one edge points away."""


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_draws_follow_the_weights():
    sampler = NeighbourSampler.from_csr(graph_of(WEIGHTS))
    drawn = sampler.draw(torch.tensor([3, 0, 1, 2, 4, NOBODY]), 40_000, generator()).numpy()
    shares = [np.bincount(row, minlength=5) / 40_000 for row in drawn[:3]]
    expected = [[0.5, 0.25, 0.25, 0, 0], [0, 0.25, 0.75, 0, 0], [1, 0, 0, 0, 0]]
    assert np.allclose(shares, expected, atol=0.01)
    assert (drawn[3:] == NOBODY).all()


def test_tiny_weights_are_drawn_beside_huge_rows():
    """Sums run over all rows: a row of small weights after one of large ones keeps its own shares."""
    weights = np.zeros((3, 3))
    weights[0, 1], weights[1, [0, 2]], weights[2, 0] = 1e6, [1e-4, 3e-4], 1e6
    sampler = NeighbourSampler.from_csr(graph_of(weights))
    drawn = sampler.draw(torch.tensor([1]), 40_000, generator())
    assert (drawn == 2).float().mean() == pytest.approx(0.75, abs=0.02)


def test_knows_neighbours_from_strangers():
    sampler = NeighbourSampler.from_csr(graph_of(WEIGHTS))
    nodes, others = torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")
    found = sampler.are_neighbours(nodes.flatten(), others.flatten()).view(5, 5).numpy()
    assert np.array_equal(found, (WEIGHTS > 0) & ~np.eye(5, dtype=bool))


def test_a_graph_without_edges_has_no_one_to_draw():
    sampler = NeighbourSampler.from_csr(graph_of(np.zeros((3, 3))))
    nodes = torch.arange(3)
    assert (sampler.draw(nodes, 2, generator()) == NOBODY).all()
    assert not sampler.are_neighbours(nodes, nodes).any()
    assert (contexts(sampler, nodes, (2, 2), 4, generator()) == NOBODY).all()


@pytest.mark.parametrize("block", [2048, 3])
def test_contexts_are_the_nodes_that_walks_meet_most(block, monkeypatch):
    monkeypatch.setattr(neighbourhoods, "_NODES", block)
    rng = np.random.default_rng(1)
    n, hops, k = 12, (5, 3, 2), 4
    weights = rng.random((n, n)) * (rng.random((n, n)) < 0.3)
    weights[7] = 0
    sampler = NeighbourSampler.from_csr(graph_of(weights))
    nodes, random = torch.arange(n), generator()
    found = contexts(sampler, nodes, hops, k, random)
    random = generator()
    for start in range(0, n, block):
        rows = nodes[start : start + block]
        frontier, met = rows.unsqueeze(1), []
        for size in hops:
            frontier = sampler.draw(frontier.flatten(), size, random).view(len(rows), -1)
            met.append(frontier)
        for position, node in enumerate(rows.tolist()):
            scores = Counter()
            for hop, nodes_met in enumerate(met):
                for other in nodes_met[position].tolist():
                    scores[other] += len(hops) - hop
            ranked = sorted(
                (other for other in scores if other not in (node, NOBODY)), key=lambda o: (-scores[o], o)
            )
            assert found[node].tolist() == (ranked + [NOBODY] * k)[:k]
    assert (found[7] == NOBODY).all()


def test_shared_partners_are_counted_in_blocks():
    rng = np.random.default_rng(2)
    taken = rng.random((7, 9)) < 0.4
    taken[3] = False
    rows, columns = (torch.from_numpy(part) for part in np.nonzero(taken))
    inner = taken.astype(float) @ taken.T
    degree = np.maximum(np.diag(inner), 1)
    cosine = inner / np.sqrt(np.outer(degree, degree))
    np.fill_diagonal(cosine, 0)
    expected = np.zeros_like(cosine)
    for row in range(7):
        nearest = np.argsort(-cosine[row], kind="stable")[:2]
        expected[row, nearest] = cosine[row, nearest]
    for block in (1024, 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mrs_pipeline.functional.graphs._ROWS", block)
            found = shared_partners_graph(rows, columns, (7, 9), 2)
        assert np.allclose(found.tensor().to_dense().numpy(), expected, atol=1e-6)


def test_dropout_draws_from_its_generator_and_keeps_the_mean():
    x = torch.ones(400, 100)
    torch.manual_seed(0)
    first = dropout(x, 0.3, generator())
    torch.manual_seed(1)
    assert torch.equal(first, dropout(x, 0.3, generator()))
    assert (first == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    assert torch.allclose(first[first > 0], torch.tensor(1 / 0.7))
    assert dropout(x, 0.0, generator()) is x
