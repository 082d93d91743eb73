"""Compressed sparse rows on tensors and their products with dense matrices, forward and backward.

How a graph is built or normalised belongs in `graphs`. Products live here because autograd's own sparse
backward makes a transposed copy at every step; ours keeps the transposed matrix, which for a symmetric one is
itself.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Csr:
    """A sparse matrix in compressed rows; columns ascend within a row, no pair occurs twice.

    Attributes:
        indptr: [rows + 1] int32.
        indices: [nnz] int32 column numbers.
        weights: [nnz] float32.
        shape: (rows, columns).
    """

    indptr: Tensor
    indices: Tensor
    weights: Tensor
    shape: tuple[int, int]

    @classmethod
    def from_pairs(cls, rows: Tensor, columns: Tensor, weights: Tensor, shape: tuple[int, int]) -> "Csr":
        """Sorts coordinates [nnz] into rows and adds up the weights of pairs that occur more than once."""
        keys, place = torch.unique(rows.long() * shape[1] + columns.long(), return_inverse=True)
        merged = weights.new_zeros(len(keys)).index_add_(0, place, weights)
        return cls(
            indptr=_row_starts(keys // shape[1], shape[0]),
            indices=(keys % shape[1]).int(),
            weights=merged,
            shape=shape,
        )

    def row_numbers(self) -> Tensor:
        """[nnz] int64: the row of each entry."""
        counts = self.indptr.diff().long()
        return torch.repeat_interleave(torch.arange(self.shape[0], device=counts.device), counts)

    def with_weights(self, weights: Tensor) -> "Csr":
        """The same pattern with other weights [nnz]."""
        return Csr(self.indptr, self.indices, weights, self.shape)

    def take(self, rows: Tensor) -> "Csr":
        """The given rows [B] int64 in that order, as a matrix [B, columns]."""
        starts = self.indptr[rows].long()
        counts = self.indptr[rows + 1].long() - starts
        ends = counts.cumsum(0)
        shift = torch.repeat_interleave(starts - (ends - counts), counts)
        entries = shift + torch.arange(len(shift), device=shift.device)
        indptr = torch.cat([ends.new_zeros(1), ends]).int()
        return Csr(indptr, self.indices[entries], self.weights[entries], (len(rows), self.shape[1]))

    def transposed(self) -> "Csr":
        """Rows and columns exchanged."""
        rows = self.row_numbers()
        order = torch.argsort(self.indices.long() * self.shape[0] + rows)
        return Csr(
            indptr=_row_starts(self.indices[order].long(), self.shape[1]),
            indices=rows[order].int(),
            weights=self.weights[order],
            shape=(self.shape[1], self.shape[0]),
        )

    def tensor(self) -> Tensor:
        """As torch's own sparse CSR tensor with 32-bit indices."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                self.indptr, self.indices, self.weights, self.shape, check_invariants=False
            )


def _row_starts(sorted_rows: Tensor, n_rows: int) -> Tensor:
    bounds = torch.arange(n_rows + 1, device=sorted_rows.device)
    return torch.searchsorted(sorted_rows.contiguous(), bounds).int()


@dataclass(frozen=True)
class SparseOperator:
    """A constant sparse matrix, ready to multiply dense ones inside autograd.

    Attributes:
        matrix: torch sparse CSR [rows, columns].
        transpose: torch sparse CSR [columns, rows]; the same object where the matrix is symmetric.
    """

    matrix: Tensor
    transpose: Tensor

    @classmethod
    def from_csr(cls, graph: Csr, *, symmetric: bool = False) -> "SparseOperator":
        """Prepares both directions; `symmetric` promises that the graph equals its transpose."""
        matrix = graph.tensor()
        return cls(matrix, matrix if symmetric else graph.transposed().tensor())

    def __matmul__(self, dense: Tensor) -> Tensor:
        """[rows, D] = this [rows, columns] times dense [columns, D]."""
        return _Product.apply(dense, self)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    """y = S x with dL/dx = S' dL/dy."""

    @staticmethod
    def forward(ctx: Any, dense: Tensor, operator: SparseOperator) -> Tensor:
        ctx.operator = operator
        return product(operator.matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return product(ctx.operator.transpose, gradients[0].contiguous()), None


def product(matrix: Tensor, dense: Tensor) -> Tensor:
    """[rows, D] = sparse CSR `matrix` [rows, columns] times dense [columns, D], without autograd.

    `torch.mm` fills the result with zeros and copies it before it multiplies: twice the time on a CPU.
    """
    result = dense.new_empty(matrix.shape[0], dense.shape[1])
    torch.addmm(result, matrix, dense, beta=0, out=result)
    return result


def add_product(to: Tensor, matrix: Tensor, dense: Tensor) -> Tensor:
    """Adds sparse CSR `matrix` [rows, columns] times dense [columns, D] to `to` [rows, D] in place."""
    torch.addmm(to, matrix, dense, out=to)
    return to


def mean_propagation(operator: SparseOperator, x: Tensor, n_layers: int) -> Tensor:
    """Mean of x, Sx, ..., S^L x [N, D]: LightGCN's read-out (He et al., SIGIR 2020, eq. 8, equal weights).

    Horner's scheme x + S(x + S(x + ...)) needs L products, no sum over stored layers, and its backward is the
    same scheme with the transposed matrix.
    """
    return _MeanPropagation.apply(x, operator, n_layers)  # type: ignore[no-any-return, no-untyped-call]


class _MeanPropagation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: SparseOperator, n_layers: int) -> Tensor:
        ctx.operator, ctx.n_layers = operator, n_layers
        return _horner_mean(operator.matrix, x, n_layers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _horner_mean(ctx.operator.transpose, gradients[0].contiguous(), ctx.n_layers), None, None


def _horner_mean(matrix: Tensor, x: Tensor, n_layers: int) -> Tensor:
    share = 1.0 / (n_layers + 1)
    total = x
    for _ in range(n_layers - 1):
        total = torch.addmm(x, matrix, total)
    return torch.addmm(x, matrix, total, beta=share, alpha=share) if n_layers else x.clone()


def take_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows [B] of a dense `table` [n, ...]; on a CPU five times as fast as `table[rows]`, forward and backward."""
    return table.index_select(0, rows)


def gather_rows(indptr: Tensor, indices: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of some rows: (position in `rows` [n] int64, column [n] int64), row by row."""
    starts = indptr[rows].long()
    counts = indptr[rows + 1].long() - starts
    position = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
    first = counts.cumsum(0) - counts
    offset = torch.arange(len(position), device=rows.device) - first[position]
    return position, indices[starts[position] + offset].long()
