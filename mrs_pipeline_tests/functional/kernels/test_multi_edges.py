"""Weighted graphs, triples and dropout against plain loops."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.attention import edge_softmax, masked_softmax
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.multi_edges import MultiEdgePattern
from mrs_pipeline.functional.triples import Triples, TripleSampler, by_relation

ROWS = torch.tensor([2, 0, 0, 2, 2, 0, 3])
COLUMNS = torch.tensor([1, 1, 4, 1, 0, 2, 3])
"""Two edges join 2 and 1; row 1 has none."""


def test_edge_softmax():
    scores = torch.tensor([1.0, 200.0, 199.0, -3.0, 0.5, 198.0, 7.0])
    found = edge_softmax(scores, ROWS, 5)
    for row in ROWS.unique():
        assert torch.allclose(found[row == ROWS], torch.softmax(scores[row == ROWS], 0))


def test_masked_softmax_leaves_out_and_never_divides_by_zero():
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 900.0], [1.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, False], [False, True, False], [False, False, False]])
    found = masked_softmax(scores, mask)
    assert torch.allclose(found[0, :2], torch.softmax(scores[0, :2], 0))
    assert found[1].tolist() == [0, 1, 0]
    assert found[2].tolist() == [0, 0, 0]


def test_weighted_product_forward_and_backward():
    pattern = MultiEdgePattern.from_edges(ROWS, COLUMNS, (5, 6))
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(7, generator=generator).requires_grad_()
    dense = torch.randn(6, 3, generator=generator).requires_grad_()
    upstream = torch.randn(5, 3, generator=generator)
    matrix = torch.zeros(5, 6).index_put((ROWS, COLUMNS), weights, accumulate=True)
    expected = matrix @ dense
    wanted = torch.autograd.grad((expected * upstream).sum(), (weights, dense))
    found = pattern.product(weights, dense)
    assert torch.allclose(found, expected)
    got = torch.autograd.grad((found * upstream).sum(), (weights, dense))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(got, wanted, strict=True))
    assert torch.allclose(pattern.operator(weights) @ dense, expected)


def test_triples_come_with_their_inverses_and_relations_numbered_on():
    parts = [
        (torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([2, 3]), 1),
        (torch.tensor([2, 3]), torch.tensor([1, 0]), torch.tensor([4, 4]), 2),
    ]
    triples = Triples.from_parts(parts, 5)
    found = set(zip(triples.heads.tolist(), triples.relations.tolist(), triples.tails.tolist(), strict=True))
    assert found == {
        *((0, 0, 2), (1, 0, 3), (2, 1, 0), (3, 1, 1)),
        *((3, 2, 4), (4, 3, 3), (2, 4, 4), (4, 5, 2)),
    }
    assert triples.relations.tolist() == sorted(triples.relations.tolist())
    assert triples.counts == (2, 2, 1, 1, 1, 1)


def test_drawn_triples_are_true_and_corrupted_ones_are_not():
    rng = np.random.default_rng(1)
    heads, relations, tails = (torch.from_numpy(rng.integers(high, size=80)) for high in (12, 3, 12))
    triples = Triples.from_parts([(heads, relations, tails + 12, 3)], 24)
    true = set(zip(triples.heads.tolist(), triples.relations.tolist(), triples.tails.tolist(), strict=True))
    sampler = TripleSampler.from_triples(triples, 64)
    generator, seen, wrong = torch.Generator().manual_seed(4), set(), set()
    for _ in range(200):
        batch = sampler.draw(generator)
        columns = (batch.heads.tolist(), batch.relations.tolist())
        seen |= set(zip(*columns, batch.tails.tolist(), strict=True))
        wrong |= set(zip(*columns, batch.negatives.tolist(), strict=True))
    assert seen == true
    assert not wrong & true


def test_by_relation_is_one_matrix_a_row():
    rows, matrices = torch.randn(5, 3), torch.randn(3, 3, 2)
    found = by_relation(rows, matrices, (2, 0, 3))
    expected = torch.stack(
        [row @ matrices[relation] for row, relation in zip(rows, (0, 0, 2, 2, 2), strict=True)]
    )
    assert torch.allclose(found, expected)


def test_dropout_keeps_the_mean_and_obeys_its_generator():
    x = torch.ones(200, 50)
    found = dropout(x, 0.3, torch.Generator().manual_seed(5))
    torch.manual_seed(99)
    assert torch.equal(found, dropout(x, 0.3, torch.Generator().manual_seed(5)))
    assert found.mean().item() == pytest.approx(1, abs=0.02)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropout(x, 0.0, torch.Generator()) is x
