"""Products and attention over the edges of a sparse pattern whose weights are learned.

Constant weights belong in `sparse_products`. Here weights are a vector [nnz] in the pattern's order. Their gradient is
a sampled product of two tables, so that nothing of size nnz x D is ever made.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.attention import edge_softmax
from mrs_pipeline.functional.kernels.dispatch import INTO_PLACE, SPARSE, has_kernel, kernel
from mrs_pipeline.functional.kernels.plain import inner_products, sums_over_entries
from mrs_pipeline.functional.kernels.sparse_products import add_product, product
from mrs_pipeline.functional.sparse import Csr


@dataclass(frozen=True)
class EdgePattern:
    """Where a matrix [rows, columns] has entries, in both directions.

    Attributes:
        graph: the entries row by row; its weights are zero and never read.
        rows: [nnz] int64 the row of each entry.
        reverse: the entries column by column, weights zero.
        reverse_rows: [nnz] int64 the column of each entry of `reverse`.
        order: [nnz] int64 the place here of each entry of `reverse`.
        reverse_order: [nnz] int64 the place in `reverse` of each entry here.
    """

    graph: Csr
    rows: Tensor
    reverse: Csr
    reverse_rows: Tensor
    order: Tensor
    reverse_order: Tensor

    @classmethod
    def from_csr(cls, graph: Csr) -> "EdgePattern":
        """The pattern of `graph`, whatever its weights."""
        places = torch.arange(len(graph.indices), device=graph.indices.device)
        numbered = graph.with_weights(places).transposed()
        order = numbered.weights
        reverse_order = torch.empty_like(order)
        reverse_order[order] = places
        zeros = torch.zeros(len(order), device=order.device)
        return cls(
            graph=graph.with_weights(zeros),
            rows=graph.row_numbers(),
            reverse=numbered.with_weights(zeros),
            reverse_rows=numbered.row_numbers(),
            order=order,
            reverse_order=reverse_order,
        )

    @property
    def transposed(self) -> "EdgePattern":
        """Rows and columns exchanged; a weight vector `w` here is `w[order]` there."""
        return EdgePattern(
            self.reverse, self.reverse_rows, self.graph, self.rows, self.reverse_order, self.order
        )

    def matrix(self, weights: Tensor) -> Tensor:
        """Torch's sparse CSR matrix [rows, columns] with these weights."""
        return self.graph.with_weights(weights).tensor()

    def reverse_matrix(self, weights: Tensor) -> Tensor:
        """Its transpose [columns, rows], `weights` in the order of this pattern."""
        return self.reverse.with_weights(weights.index_select(0, self.order)).tensor()


def edge_sums(pattern: EdgePattern, start: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """[rows, D] start_r + the sum over the row's entries (r, c) of weight_rc right_c.

    Args:
        pattern: the entries.
        start: [rows, D].
        weights: [nnz].
        right: [columns, D].
    """
    if has_kernel(SPARSE, right):
        return kernel(_EdgeSums, start, weights, right, pattern)
    return edge_sums_reference(pattern, start, weights, right)


def edge_sums_reference(pattern: EdgePattern, start: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """Plain `edge_sums`; holds an [nnz, D]."""
    graph = pattern.graph
    return start + sums_over_entries(pattern.rows, graph.indices, weights, right, graph.shape[0])


def edge_attention(pattern: EdgePattern, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """left_r + sum_c a_rc right_c with a = softmax of <left_r, right_c> among the entries of row r.

    Args:
        pattern: the entries.
        left: [rows, D].
        right: [columns, D].

    Returns:
        The sums [rows, D] and a [nnz].
    """
    if has_kernel(SPARSE, left):
        return kernel(_EdgeAttention, left, right, pattern)  # type: ignore[return-value]  # it gives two
    return edge_attention_reference(pattern, left, right)


def edge_attention_reference(pattern: EdgePattern, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Plain `edge_attention`; holds an [nnz, D]."""
    scores = inner_products(pattern.rows, pattern.graph.indices, left, right)
    shares = edge_softmax(scores, pattern.rows, pattern.graph.shape[0])
    return edge_sums_reference(pattern, left, shares, right), shares


def edge_scores(pattern: EdgePattern, left: Tensor, right: Tensor) -> Tensor:
    """[nnz] inner products <left_r, right_c> of the entries (r, c), differentiable in both tables.

    Args:
        pattern: the entries.
        left: [rows, D].
        right: [columns, D].
    """
    if has_kernel(SPARSE, left):
        return kernel(_EdgeScores, left, right, pattern)
    return edge_scores_reference(pattern, left, right)


def edge_scores_reference(pattern: EdgePattern, left: Tensor, right: Tensor) -> Tensor:
    """Plain `edge_scores`; holds an [nnz, D]."""
    return inner_products(pattern.rows, pattern.graph.indices, left, right)


class _EdgeSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, start: Tensor, weights: Tensor, right: Tensor, pattern: EdgePattern) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(weights, right)
        return add_product(start.clone(), pattern.matrix(weights), right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        pattern: EdgePattern = ctx.pattern
        weights, right = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return (
            gradient,
            _sampled(pattern, gradient, right),
            product(pattern.reverse_matrix(weights), gradient),
            None,
        )


class _EdgeAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, pattern: EdgePattern) -> tuple[Tensor, Tensor]:
        shares = edge_softmax(_sampled(pattern, left, right), pattern.rows, pattern.graph.shape[0])
        ctx.pattern = pattern
        ctx.save_for_backward(left, right, shares)
        return add_product(left.clone(), pattern.matrix(shares), right), shares

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        pattern: EdgePattern = ctx.pattern
        left, right, shares = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_shares = _sampled(pattern, gradient, right).add_(gradients[1])
        of_scores = _softmax_backward(pattern, shares, of_shares)
        of_right = product(pattern.reverse_matrix(shares), gradient)
        return (
            add_product(gradient.clone(), pattern.matrix(of_scores), right),
            add_product(of_right, pattern.reverse_matrix(of_scores), left),
            None,
        )


class _EdgeScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, pattern: EdgePattern) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(left, right)
        return _sampled(pattern, left, right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        pattern: EdgePattern = ctx.pattern
        left, right = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return (
            product(pattern.matrix(gradient), right),
            product(pattern.reverse_matrix(gradient), left),
            None,
        )


def _sampled(pattern: EdgePattern, left: Tensor, right: Tensor) -> Tensor:
    """[nnz] inner products <left_r, right_c> at the entries (r, c)."""
    result = pattern.matrix(left.new_zeros(len(pattern.rows)))
    left, columns = left.contiguous(), right.contiguous().T
    if not has_kernel(INTO_PLACE, left):
        sampled: Tensor = torch.sparse.sampled_addmm(result, left, columns, beta=0.0)
        return sampled.values()
    # into its own input, which spares four copies
    torch.sparse.sampled_addmm(result, left, columns, beta=0.0, out=result)
    return result.values()


def _softmax_backward(pattern: EdgePattern, shares: Tensor, gradient: Tensor) -> Tensor:
    weighted = shares * gradient
    means = shares.new_zeros(pattern.graph.shape[0]).index_add_(0, pattern.rows, weighted)
    return weighted.addcmul_(shares, means.index_select(0, pattern.rows), value=-1)
