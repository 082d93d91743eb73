"""Sparse products that are also differentiable in the weights of the edges, for graphs that are learned.

Memory is edges x 1 and blocks of edges x D, never all edges x D. Products with a constant graph belong in
`sparse`, which is faster.
"""

from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr, SparseOperator

_BLOCK = 2**16


def edge_product(graph: Csr, operator: SparseOperator, dense: Tensor) -> Tensor:
    """`operator @ dense` [rows, D], differentiable in `dense` [columns, D] and in `graph.weights` [nnz].

    `operator` must have been prepared from `graph`; it is asked for because whoever goes on with a constant
    graph keeps it.
    """
    return _EdgeProduct.apply(graph.weights, dense, graph, operator)  # type: ignore[no-any-return, no-untyped-call]


def edge_similarities(pattern: Csr, x: Tensor) -> Tensor:
    """[nnz] inner products <x_r, x_c> of the rows [n, D] that each entry (r, c) of a square `pattern` joins."""
    return _EdgeSimilarities.apply(x, pattern)  # type: ignore[no-any-return, no-untyped-call]


def _inner_products(pattern: Csr, left: Tensor, right: Tensor) -> Tensor:
    rows, columns = pattern.row_numbers(), pattern.indices
    parts = [
        torch.linalg.vecdot(left.index_select(0, row), right.index_select(0, column))
        for row, column in zip(torch.split(rows, _BLOCK), torch.split(columns, _BLOCK), strict=True)
    ]
    return torch.cat(parts)


class _EdgeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, dense: Tensor, graph: Csr, operator: SparseOperator) -> Tensor:
        ctx.save_for_backward(dense)
        ctx.graph, ctx.operator = graph.with_weights(weights.detach()), operator
        return torch.mm(operator.matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (dense,) = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return (
            _inner_products(ctx.graph, gradient, dense),
            torch.mm(ctx.operator.transpose, gradient),
            None,
            None,
        )


class _EdgeSimilarities(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pattern: Csr) -> Tensor:
        ctx.save_for_backward(x)
        ctx.pattern = pattern
        return _inner_products(pattern, x, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        weighted = SparseOperator.from_csr(ctx.pattern.with_weights(gradients[0]))
        return torch.mm(weighted.matrix, x) + torch.mm(weighted.transpose, x), None
