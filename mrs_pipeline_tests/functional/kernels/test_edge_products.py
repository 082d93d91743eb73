"""Products that are differentiable in the edges' weights, against dense matrices and finite differences."""

import numpy as np
import pytest
import torch

from mrs_pipeline.functional.kernels import edge_products
from mrs_pipeline.functional.kernels.edge_products import edge_product, edge_similarities
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr


@pytest.fixture(params=[2**16, 3])
def _block(request, monkeypatch):
    monkeypatch.setattr(edge_products, "_ENTRIES", request.param)


def pattern(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    filled = np.random.default_rng(2).random((rows, columns)) < 0.5
    return tuple(torch.from_numpy(places) for places in np.nonzero(filled))


@pytest.mark.usefixtures("_block")
def test_a_product_and_both_its_gradients():
    rows, columns = pattern(6, 4)
    generator = torch.Generator().manual_seed(1)
    dense = torch.randn(4, 3, generator=generator, dtype=torch.double, requires_grad=True)
    weights = torch.randn(len(rows), generator=generator, dtype=torch.double, requires_grad=True)

    def product(weights: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        graph = Csr.from_pairs(rows, columns, weights, (6, 4))
        operator = SparseOperator.from_csr(graph.with_weights(graph.weights.detach()))
        return edge_product(graph, operator, dense)

    matrix = torch.zeros(6, 4, dtype=torch.double).index_put((rows, columns), weights)
    assert torch.allclose(product(weights, dense), matrix @ dense)
    assert torch.autograd.gradcheck(product, (weights, dense))


@pytest.mark.usefixtures("_block")
def test_similarities_along_edges():
    rows, columns = pattern(5, 5)
    graph = Csr.from_pairs(rows, columns, torch.ones(len(rows), dtype=torch.double), (5, 5))
    x = torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    assert torch.allclose(edge_similarities(graph, x), (x @ x.T)[rows, columns])
    assert torch.autograd.gradcheck(lambda x: edge_similarities(graph, x), (x,))
