"""What the reference versions of sparse products share."""

import torch
from torch import Tensor


def sums_over_entries(rows: Tensor, columns: Tensor, weights: Tensor, dense: Tensor, n_rows: int) -> Tensor:
    """[n_rows, D] sum of weight_e dense[column_e] over the entries e of each row; holds an [nnz, D].

    Args:
        rows: [nnz] int64.
        columns: [nnz] integers.
        weights: [nnz].
        dense: [columns, D].
        n_rows: rows of the result.
    """
    terms = weights.unsqueeze(1) * dense.index_select(0, columns)
    return dense.new_zeros(n_rows, dense.shape[1]).index_add(0, rows, terms)


def inner_products(rows: Tensor, columns: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """[nnz] inner products <left_r, right_c> of the pairs (r, c); holds an [nnz, D]."""
    products: Tensor = torch.linalg.vecdot(left.index_select(0, rows), right.index_select(0, columns))
    return products
