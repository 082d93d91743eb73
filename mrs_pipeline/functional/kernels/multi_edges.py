"""Graphs in which several edges may join two nodes, and whose weights are computed at every step.

A graph that stays as it is belongs in `sparse_products` as a `SparseOperator`; how fixed graphs are built, in `graphs`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import SPARSE, has_kernel, kernel
from mrs_pipeline.functional.kernels.plain import sums_over_entries
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.sparse import Csr


@dataclass(frozen=True)
class MultiEdgePattern:
    """Where the edges of a graph stand in a sparse matrix and in its transpose, worked out once.

    Attributes:
        rows: [E] int64.
        columns: [E] int64; edges between the same two nodes may be several, their weights add up.
        place: [E] int64: each edge's entry of `matrix`.
        matrix: the pattern [rows, columns], all weights one.
        transpose: the same transposed.
        order: [nnz] int64: the entry of `matrix` behind each entry of `transpose`.
    """

    rows: Tensor
    columns: Tensor
    place: Tensor
    matrix: Csr
    transpose: Csr
    order: Tensor

    @classmethod
    def from_edges(cls, rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> "MultiEdgePattern":
        """From edge ends [E] int64 each, in any order."""
        place = torch.unique(rows * shape[1] + columns, return_inverse=True)[1]
        matrix = Csr.from_pairs(rows, columns, torch.ones(len(rows), device=rows.device), shape)
        numbered = matrix.with_weights(torch.arange(len(matrix.indices), device=rows.device))
        transpose = numbered.transposed()
        return cls(rows, columns, place, matrix, transpose, transpose.weights)

    def operator(self, weights: Tensor) -> SparseOperator:
        """The matrix with these weights [E], as constants."""
        entries = weights.new_zeros(len(self.order)).index_add_(0, self.place, weights.detach())
        return SparseOperator(
            self.matrix.with_weights(entries).tensor(),
            self.transpose.with_weights(entries[self.order]).tensor(),
        )

    def product(self, weights: Tensor, dense: Tensor) -> Tensor:
        """[rows, D] = the matrix with these weights [E] times dense [columns, D]; both get gradients."""
        return multi_edge_product(self, weights, dense)


def multi_edge_product(pattern: MultiEdgePattern, weights: Tensor, dense: Tensor) -> Tensor:
    """[rows, D] = the matrix of `pattern` with weights [E] times dense [columns, D]; both get gradients."""
    if has_kernel(SPARSE, dense):
        return kernel(_MultiEdgeProduct, weights, dense, pattern)
    return multi_edge_product_reference(pattern, weights, dense)


def multi_edge_product_reference(pattern: MultiEdgePattern, weights: Tensor, dense: Tensor) -> Tensor:
    """Plain `multi_edge_product`; holds an [E, D]."""
    return sums_over_entries(pattern.rows, pattern.columns, weights, dense, pattern.matrix.shape[0])


class _MultiEdgeProduct(torch.autograd.Function):
    """y = S(w) x with dL/dx = S' dL/dy and dL/dw_e = <dL/dy of the edge's row, x of its column>."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, dense: Tensor, pattern: MultiEdgePattern) -> Tensor:
        ctx.operator, ctx.pattern = pattern.operator(weights), pattern
        ctx.save_for_backward(dense)
        return torch.mm(ctx.operator.matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (dense,), gradient = ctx.saved_tensors, gradients[0].contiguous()
        # inner products at the pattern's entries only, without a copy of rows for each edge
        inner = torch.sparse.sampled_addmm(ctx.operator.matrix, gradient, dense.T, beta=0.0)
        return inner.values()[ctx.pattern.place], torch.mm(ctx.operator.transpose, gradient), None
