"""Products and attention over edges against dense NumPy and against numerical gradients."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.kernels.edges import EdgePattern, edge_attention, edge_scores, edge_sums
from mrs_pipeline.functional.kernels.rows import unit_rows
from mrs_pipeline.functional.sparse import Csr

ROWS = torch.tensor([0, 0, 1, 3, 3, 3])
COLUMNS = torch.tensor([1, 2, 0, 0, 1, 2])
SHAPE = (5, 4)  # rows 2 and 4 and column 3 are empty


@pytest.fixture
def pattern() -> EdgePattern:
    return EdgePattern.from_csr(Csr.from_pairs(ROWS, COLUMNS, torch.full((6,), torch.nan), SHAPE))


def tables(*sizes: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(size, 3, generator=generator, dtype=torch.float64, requires_grad=True) for size in sizes
    ]


def test_the_transposed_pattern_holds_the_same_entries(pattern):
    weights = torch.arange(1.0, 7.0)
    dense = pattern.matrix(weights).to_dense()
    assert torch.equal(pattern.reverse_matrix(weights).to_dense(), dense.T)
    assert torch.equal(pattern.transposed.matrix(weights[pattern.order]).to_dense(), dense.T)
    assert torch.equal(pattern.transposed.transposed.matrix(weights).to_dense(), dense)
    assert torch.equal(pattern.transposed.rows[pattern.reverse_order], COLUMNS)


def test_sums(pattern):
    start, right = tables(5, 4)
    weights = torch.rand(6, dtype=torch.float64, requires_grad=True)
    dense = pattern.matrix(weights.detach()).to_dense()
    assert torch.allclose(edge_sums(pattern, start, weights, right), start + dense @ right)
    assert torch.autograd.gradcheck(lambda *given: edge_sums(pattern, *given), (start, weights, right))


def test_scores(pattern):
    left, right = tables(5, 4)
    assert torch.allclose(edge_scores(pattern, left, right), (left @ right.T)[ROWS, COLUMNS])
    assert torch.autograd.gradcheck(lambda *given: edge_scores(pattern, *given), (left, right))


def test_attention(pattern):
    left, right = tables(5, 4)
    scores = (left @ right.T).detach().numpy()
    shares = np.zeros(SHAPE)
    for row in (0, 1, 3):
        columns = COLUMNS[row == ROWS].numpy()
        powers = np.exp(scores[row, columns])
        shares[row, columns] = powers / powers.sum()
    sums, found = edge_attention(pattern, left, right)
    assert np.allclose(found.detach().numpy(), shares[ROWS, COLUMNS])
    assert np.allclose(sums.detach().numpy(), left.detach().numpy() + shares @ right.detach().numpy())
    assert torch.autograd.gradcheck(lambda *given: edge_attention(pattern, *given), (left, right))


def test_attention_to_large_scores_is_finite(pattern):
    left, right = (1e3 * table.detach().float() for table in tables(5, 4))
    sums, shares = edge_attention(pattern, left, right)
    assert sums.isfinite().all()
    assert shares.isfinite().all()


def test_unit_rows():
    (table,) = tables(4)
    assert torch.allclose(unit_rows(table), torch.nn.functional.normalize(table))
    assert torch.autograd.gradcheck(unit_rows, (table,))


def test_a_row_of_zeros_has_no_direction_and_no_gradient():
    table = torch.zeros(2, 3, requires_grad=True)
    unit = unit_rows(table)
    assert torch.equal(unit, torch.zeros(2, 3))
    unit.sum().backward()
    assert torch.equal(table.grad, torch.zeros(2, 3))
