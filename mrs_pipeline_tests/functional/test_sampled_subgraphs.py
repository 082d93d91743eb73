"""Sampled neighbourhoods against the whole graph: what they hold, how often, and by what they are weighed."""

import numpy as np
import torch

from mrs_pipeline.functional.graphs import bipartite_graph
from mrs_pipeline.functional.sampled_subgraphs import SubgraphSampler, row_ranges


def graph():
    users = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])
    items = torch.tensor([0, 1, 2, 3, 0, 4, 4, 4])
    return bipartite_graph(users, items, 5, 5)


def drawn(sampler, seeds, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    sampler.shuffle(generator)
    return sampler.around(torch.tensor(seeds), sizes, generator)


def edges_of(found):
    return [tuple(pair) for pair in found.nodes[found.edges].T.tolist()]


def test_rows_that_are_small_enough_come_whole_with_their_weights():
    found = drawn(SubgraphSampler(graph()), [1], (9, 9), 0)
    assert found.nodes.tolist() == [0, 1, 2, 3, 5, 9]
    assert sorted(edges_of(found)) == [(0, 5), (1, 5), (1, 9), (2, 9), (3, 9), (5, 1), (9, 1)]
    assert (found.weights == 1).all()


def test_no_more_than_asked_none_twice_and_each_weighs_for_those_left_out():
    sampler = SubgraphSampler(graph())
    for seed in range(20):
        found = drawn(sampler, [0, 1], (2,), seed)
        pairs = edges_of(found)
        assert len(set(pairs)) == len(pairs) == 4
        shares = {target: float(weight) for (_, target), weight in zip(pairs, found.weights, strict=True)}
        assert shares == {0: 2.0, 1: 1.0}


def test_every_set_of_neighbours_is_equally_likely():
    sampler, counts = SubgraphSampler(graph()), {}
    for seed in range(3000):
        found = frozenset(source for source, _ in edges_of(drawn(sampler, [0], (2,), seed)))
        counts[found] = counts.get(found, 0) + 1
    assert len(counts) == 6
    assert np.allclose(list(counts.values()), 500, atol=4 * np.sqrt(500 * 5 / 6))


def test_within_an_epoch_draws_differ():
    sampler, generator = SubgraphSampler(graph()), torch.Generator().manual_seed(1)
    sampler.shuffle(generator)
    seen = {frozenset(edges_of(sampler.around(torch.tensor([0]), (1,), generator))) for _ in range(40)}
    assert len(seen) == 4


def test_a_node_without_edges_is_there_alone():
    found = drawn(SubgraphSampler(graph()), [4], (3, 3), 0)
    assert found.nodes.tolist() == [4]
    assert found.edges.shape == (2, 0)


def test_ranges_cover_all_rows_once():
    ranges = row_ranges(graph(), 4)
    assert [row for start, end in ranges for row in range(start, end)] == list(range(10))
    indptr = graph().indptr
    assert all(int(indptr[end] - indptr[start]) <= 4 for start, end in ranges)
