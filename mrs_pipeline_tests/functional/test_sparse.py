"""Sparse rows and their products, against dense matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_pipeline.functional.kernels.sparse_products import SparseOperator, mean_propagation
from mrs_pipeline.functional.sparse import Csr, gather_rows


def random_csr(seed: int, rows: int = 7, columns: int = 5) -> tuple[Csr, torch.Tensor]:
    rng = np.random.default_rng(seed)
    dense = torch.tensor(rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.4)).float()
    row, column = torch.nonzero(dense, as_tuple=True)
    order = torch.tensor(rng.permutation(len(row)))
    return Csr.from_pairs(row[order], column[order], dense[row, column][order], (rows, columns)), dense


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_rows_from_shuffled_pairs_equal_the_dense_matrix(seed):
    graph, dense = random_csr(seed)
    assert torch.equal(graph.tensor().to_dense(), dense)
    assert torch.equal(graph.transposed().tensor().to_dense(), dense.T)


def test_repeated_pairs_add_up():
    graph = Csr.from_pairs(
        torch.tensor([1, 0, 1]), torch.tensor([2, 0, 2]), torch.tensor([1.0, 5.0, 2.0]), (2, 3)
    )
    assert graph.tensor().to_dense().tolist() == [[5, 0, 0], [0, 0, 3]]


@pytest.mark.parametrize("seed", range(3))
def test_product_and_gradient_of_an_asymmetric_matrix(seed):
    graph, dense = random_csr(seed)
    x = torch.randn(5, 3, requires_grad=True)
    weights = torch.randn(7, 3)
    (SparseOperator.from_csr(graph) @ x).mul(weights).sum().backward()
    assert torch.allclose(SparseOperator.from_csr(graph) @ x, dense @ x, atol=1e-6)
    assert torch.allclose(x.grad, dense.T @ weights, atol=1e-6)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 4])
def test_mean_propagation_is_the_mean_of_the_layers(n_layers):
    graph, dense = random_csr(3, rows=6, columns=6)
    x = torch.randn(6, 2, requires_grad=True)
    layers = [torch.linalg.matrix_power(dense, power) for power in range(n_layers + 1)]
    mean = torch.stack(layers).mean(0)
    result = mean_propagation(SparseOperator.from_csr(graph), x, n_layers)
    assert torch.allclose(result, mean @ x, atol=1e-5)
    weights = torch.randn(6, 2)
    result.mul(weights).sum().backward()
    assert torch.allclose(x.grad, mean.T @ weights, atol=1e-5)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 6), max_size=9))
@settings(max_examples=25, deadline=None)
def test_gather_rows_lists_the_entries_of_each_row(seed, rows):
    graph, dense = random_csr(seed)
    position, column = gather_rows(graph.indptr, graph.indices, torch.tensor(rows, dtype=torch.int64))
    expected = [
        (place, c) for place, row in enumerate(rows) for c in torch.nonzero(dense[row]).flatten().tolist()
    ]
    assert list(zip(position.tolist(), column.tolist(), strict=True)) == expected
