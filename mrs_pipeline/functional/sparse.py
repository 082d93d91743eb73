"""A sparse matrix as compressed rows on tensors. How a graph is built is in `graphs`; products, in `kernels`."""

import warnings
from dataclasses import dataclass

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
        return _repeated(torch.arange(self.shape[0], device=counts.device), counts, len(self.indices))

    def with_weights(self, weights: Tensor) -> "Csr":
        """The same pattern with other weights [nnz]."""
        return Csr(self.indptr, self.indices, weights, self.shape)

    def take(self, rows: Tensor, n_entries: int | None = None) -> "Csr":
        """The given rows [B] int64 in that order, as a matrix [B, columns].

        Where the caller knows how many entries they have, the host need not wait for the device to count them.
        """
        starts = self.indptr[rows].long()
        counts = self.indptr[rows + 1].long() - starts
        ends = counts.cumsum(0)
        shift = _repeated(starts - (ends - counts), counts, n_entries)
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


def _repeated(values: Tensor, counts: Tensor, total: int | None) -> Tensor:
    """Each of `values` [n] as often as `counts` [n] says, `total` times in all."""
    return torch.repeat_interleave(values, counts, output_size=total)


def _row_starts(sorted_rows: Tensor, n_rows: int) -> Tensor:
    bounds = torch.arange(n_rows + 1, device=sorted_rows.device)
    return torch.searchsorted(sorted_rows.contiguous(), bounds).int()


def gather_rows(indptr: Tensor, indices: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of some rows: (position in `rows` [n] int64, column [n] int64), row by row."""
    starts = indptr[rows].long()
    counts = indptr[rows + 1].long() - starts
    position = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
    first = counts.cumsum(0) - counts
    offset = torch.arange(len(position), device=rows.device) - first[position]
    return position, indices[starts[position] + offset].long()
