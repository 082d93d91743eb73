"""Products of constant sparse matrices with dense ones, forward and backward.

Autograd's own sparse backward makes a transposed copy at every step; ours keeps the transposed matrix, which for a
symmetric one is itself. Weights that are learned belong in `edge_products`, `edges` and `multi_edges`.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import INTO_PLACE, SPARSE, has_kernel, kernel
from mrs_pipeline.functional.kernels.plain import sums_over_entries
from mrs_pipeline.functional.sparse import Csr


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

    def __deepcopy__(self, memo: dict[int, Any]) -> "SparseOperator":
        """Itself: it is constant, so that copies of a model share it (torch copies no sparse CSR tensor)."""
        return self

    def __matmul__(self, dense: Tensor) -> Tensor:
        """[rows, D] = this [rows, columns] times dense [columns, D]."""
        return sparse_product(self, dense)


class _Identity(SparseOperator):
    """The identity of any size, which multiplies nothing."""

    def __matmul__(self, dense: Tensor) -> Tensor:
        """`dense` as it is."""
        return dense


IDENTITY: Final = _Identity(torch.empty(0), torch.empty(0))
"""In place of a graph that is left out."""


def sparse_product(operator: SparseOperator, dense: Tensor) -> Tensor:
    """[rows, D] = `operator` [rows, columns] times `dense` [columns, D], which gets the gradient."""
    if has_kernel(SPARSE, dense):
        return kernel(_SparseProduct, dense, operator)
    return sparse_product_reference(operator, dense)


def sparse_product_reference(operator: SparseOperator, dense: Tensor) -> Tensor:
    """Plain `sparse_product`; holds an [nnz, D]."""
    matrix = operator.matrix
    counts = matrix.crow_indices().diff().long()
    numbers = torch.arange(len(counts), device=counts.device)
    rows = torch.repeat_interleave(numbers, counts, output_size=len(matrix.values()))
    return sums_over_entries(rows, matrix.col_indices(), matrix.values(), dense, len(counts))


class _SparseProduct(torch.autograd.Function):
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
    if not has_kernel(INTO_PLACE, dense):
        return torch.mm(matrix, dense)
    result = dense.new_empty(matrix.shape[0], dense.shape[1])
    torch.addmm(result, matrix, dense, beta=0, out=result)
    return result


def add_product(to: Tensor, matrix: Tensor, dense: Tensor) -> Tensor:
    """Adds sparse CSR `matrix` [rows, columns] times dense [columns, D] to `to` [rows, D] in place; no autograd."""
    if not has_kernel(INTO_PLACE, dense):
        return to.add_(torch.mm(matrix, dense))
    torch.addmm(to, matrix, dense, out=to)
    return to


def mean_propagation(operator: SparseOperator, x: Tensor, n_layers: int) -> Tensor:
    """Mean of x, Sx, ..., S^L x [N, D]: LightGCN's read-out (He et al., SIGIR 2020, eq. 8, equal weights).

    Args:
        operator: S [N, N].
        x: [N, D], which gets the gradient.
        n_layers: L.
    """
    if operator is IDENTITY:
        return x
    if has_kernel(SPARSE, x):
        return kernel(_MeanPropagation, x, operator, n_layers)
    return mean_propagation_reference(operator, x, n_layers)


def mean_propagation_reference(operator: SparseOperator, x: Tensor, n_layers: int) -> Tensor:
    """Plain `mean_propagation`; holds every layer."""
    layers = [x]
    for _ in range(n_layers):
        layers.append(sparse_product_reference(operator, layers[-1]))
    return torch.stack(layers).mean(0)


class _MeanPropagation(torch.autograd.Function):
    """Horner's scheme x + S(x + S(x + ...)): L products and no stored layers; its backward is the same with S'."""

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
