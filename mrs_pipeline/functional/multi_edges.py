"""Graphs in which several edges may join two nodes, weighted anew again and again: softmax over a node's edges.

A graph that stays as it is belongs in `sparse` as a `SparseOperator`; how fixed graphs are built, in `graphs`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.sparse import Csr, SparseOperator


def edge_softmax(scores: Tensor, nodes: Tensor, n_nodes: int) -> Tensor:
    """[E] softmax of `scores` [E] among the edges of one node; `nodes` [E] int64 says whose an edge is."""
    lowest = torch.full((n_nodes,), -torch.inf, device=scores.device)
    highest = lowest.scatter_reduce(0, nodes, scores.detach(), "amax")
    exponents = (scores - highest[nodes]).exp()
    sums = torch.zeros(n_nodes, device=scores.device).index_add(0, nodes, exponents)
    return exponents / sums[nodes]


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
        return _WeightedProduct.apply(weights, dense, self)  # type: ignore[no-any-return, no-untyped-call]


class _WeightedProduct(torch.autograd.Function):
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
