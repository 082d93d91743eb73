"""Operations on the rows of a table. Which rows are taken is in `sparse.take_rows`."""

from typing import Any

import torch
from torch import Tensor

_SHORTEST = 1e-12
"""A row no longer than this has no direction: it becomes zero."""


def unit_rows(table: Tensor) -> Tensor:
    """Rows [n, D] divided by their Euclidean length; a row of zeros stays zero and gets no gradient."""
    return _UnitRows.apply(table)  # type: ignore[no-any-return, no-untyped-call]


class _UnitRows(torch.autograd.Function):
    """y = x / |x| with dx = (dy - <dy, y> y) / |x|; torch's own backward takes three times as long."""

    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        lengths = torch.linalg.vector_norm(table, dim=1, keepdim=True)
        inverse = torch.where(lengths > _SHORTEST, lengths.clamp(min=_SHORTEST).reciprocal(), 0.0)
        unit = table * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit, inverse = ctx.saved_tensors
        along = torch.linalg.vecdot(unit, gradients[0]).unsqueeze(1)
        return torch.addcmul(gradients[0], unit, along, value=-1).mul_(inverse)
