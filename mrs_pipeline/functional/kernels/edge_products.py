"""Sparse products that are also differentiable in the weights of the edges, for graphs that are learned.

Memory is edges x 1 and blocks of edges x D, never all edges x D. Products with a constant graph belong in
`sparse_products`, which is faster.
"""

from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import SPARSE, has_kernel, kernel
from mrs_pipeline.functional.kernels.plain import inner_products, sums_over_entries
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr

_ENTRIES = 2**16
"""Entries whose rows are held at once."""


def edge_product(graph: Csr, operator: SparseOperator, dense: Tensor) -> Tensor:
    """`operator @ dense` [rows, D], differentiable in `dense` [columns, D] and in `graph.weights` [nnz].

    `operator` must have been prepared from `graph`; it is asked for because whoever goes on with a constant
    graph keeps it.
    """
    if has_kernel(SPARSE, dense):
        return kernel(_EdgeProduct, graph.weights, dense, graph, operator)
    return edge_product_reference(graph, operator, dense)


def edge_product_reference(graph: Csr, operator: SparseOperator, dense: Tensor) -> Tensor:
    """Plain `edge_product`; holds an [nnz, D]."""
    del operator  # the kernel's alone
    return sums_over_entries(graph.row_numbers(), graph.indices, graph.weights, dense, graph.shape[0])


def edge_similarities(pattern: Csr, x: Tensor) -> Tensor:
    """[nnz] inner products <x_r, x_c> of the rows [n, D] that each entry (r, c) of a square `pattern` joins."""
    if has_kernel(SPARSE, x):
        return kernel(_EdgeSimilarities, x, pattern)
    return edge_similarities_reference(pattern, x)


def edge_similarities_reference(pattern: Csr, x: Tensor) -> Tensor:
    """Plain `edge_similarities`; holds an [nnz, D]."""
    return inner_products(pattern.row_numbers(), pattern.indices, x, x)


def _in_blocks(pattern: Csr, left: Tensor, right: Tensor) -> Tensor:
    """[nnz] inner products <left_r, right_c>."""
    blocks = zip(
        torch.split(pattern.row_numbers(), _ENTRIES), torch.split(pattern.indices, _ENTRIES), strict=True
    )
    return torch.cat([inner_products(rows, columns, left, right) for rows, columns in blocks])


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
            _in_blocks(ctx.graph, gradient, dense),
            torch.mm(ctx.operator.transpose, gradient),
            None,
            None,
        )


class _EdgeSimilarities(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pattern: Csr) -> Tensor:
        ctx.save_for_backward(x)
        ctx.pattern = pattern
        return _in_blocks(pattern, x, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        weighted = SparseOperator.from_csr(ctx.pattern.with_weights(gradients[0]))
        return torch.mm(weighted.matrix, x) + torch.mm(weighted.transpose, x), None
