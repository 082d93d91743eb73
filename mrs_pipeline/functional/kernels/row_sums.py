"""Sums of table rows over the entries of a sparse matrix, with several weights an entry."""

from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.kernels.dispatch import SPARSE, has_kernel, kernel
from mrs_pipeline.functional.sparse import Csr


def weighted_row_sums(pattern: Csr, weights: Tensor, table: Tensor) -> Tensor:
    """out[b, k] = sum over the entries (b, j) of `pattern` of weights[entry, k] * table[j].

    Args:
        pattern: [B, n]; its own weights are not used.
        weights: [nnz, K].
        table: [n, H].

    Returns:
        [B, K, H]. Gradients reach weights and table; neither way holds an [nnz, K, H].
    """
    if has_kernel(SPARSE, table):
        return kernel(_RowSums, weights, table, pattern)
    return weighted_row_sums_reference(pattern, weights, table)


def weighted_row_sums_reference(pattern: Csr, weights: Tensor, table: Tensor) -> Tensor:
    """Plain `weighted_row_sums`; holds an [nnz, K, H]."""
    terms = weights.unsqueeze(2) * table.index_select(0, pattern.indices).unsqueeze(1)
    sums = table.new_zeros(pattern.shape[0], *terms.shape[1:])
    return sums.index_add(0, pattern.row_numbers(), terms)


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, table: Tensor, pattern: Csr) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(weights, table)
        sums = [torch.mm(pattern.with_weights(column).tensor(), table) for column in _columns(weights)]
        return torch.stack(sums, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, table = ctx.saved_tensors
        pattern: Csr = ctx.pattern
        owners = pattern.row_numbers()
        items, place = distinct(pattern.indices)
        taken = table.index_select(0, items)
        # only the rows that occur: a batch of users touches a small part of the table
        of_taken = torch.zeros_like(taken)
        of_weights = torch.empty_like(weights)
        rows = taken.index_select(0, place)
        for number, column in enumerate(_columns(weights)):
            spread = gradients[0][:, number].index_select(0, owners)
            of_weights[:, number] = torch.linalg.vecdot(rows, spread)
            of_taken.index_add_(0, place, spread.mul_(column.unsqueeze(1)))
        return of_weights, torch.zeros_like(table).index_add_(0, items, of_taken), None


def _columns(weights: Tensor) -> list[Tensor]:
    return list(weights.T.contiguous())
