"""Rows that values decide on: the distinct ones, the marked ones. How many these are only the device knows.

On a CPU the results are as long as they come out. A host would have to wait for its GPU to learn that length, so there
they are as long as they could be, and what is too much counts nothing (`kernels.dispatch.SIZES_KNOWN`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import SIZES_KNOWN, has_kernel


def distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct `values` [m] ascending and the place of each entry among them, of the shape of `values`.

    Beyond the last one, where m is as large as it could be, the largest value is repeated; no place points there.

    >>> distinct(torch.tensor([[7, 3], [3, 9]]))
    (tensor([3, 7, 9]), tensor([[1, 0],
            [0, 2]]))
    """
    if has_kernel(SIZES_KNOWN, values):
        found, place = torch.unique(values, return_inverse=True)
        return found, place
    return distinct_reference(values)


def distinct_reference(values: Tensor) -> tuple[Tensor, Tensor]:
    """`distinct` of the size of `values`, whatever these are."""
    flat, order = values.flatten().sort()
    if not len(flat):
        return flat, torch.empty_like(values, dtype=torch.int64)
    number = torch.zeros_like(order)
    number[1:] = (flat[1:] != flat[:-1]).cumsum(0)
    found = flat[-1:].repeat(len(flat)).scatter_(0, number, flat)
    return found, torch.empty_like(order).scatter_(0, order, number).view(values.shape)


def counted(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`distinct` with how often each of them occurs, [m] int64; zero beyond the last one.

    >>> counted(torch.tensor([7, 3, 7]))
    (tensor([3, 7]), tensor([1, 0, 1]), tensor([1, 2]))
    """
    if has_kernel(SIZES_KNOWN, values):
        found, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
        return found, place, counts
    found, place = distinct_reference(values)
    return found, place, occurrences(place, len(found))


def occurrences(numbers: Tensor, n: int) -> Tensor:
    """[n] int64 how often each of 0..n-1 occurs among `numbers`; `torch.bincount` makes the host of a GPU wait.

    >>> occurrences(torch.tensor([2, 0, 2]), 4)
    tensor([1, 0, 2, 0])
    """
    if has_kernel(SIZES_KNOWN, numbers):
        return torch.bincount(numbers.flatten(), minlength=n)
    flat = numbers.flatten().long()
    return torch.zeros(n, dtype=torch.int64, device=flat.device).scatter_add_(0, flat, torch.ones_like(flat))


def positions(mask: Tensor, n: int | None) -> Tensor:
    """[n] int64 ascending: where `mask` [m] is true; where the caller knows how often, the host need not wait.

    >>> positions(torch.tensor([True, False, True]), 2)
    tensor([0, 2])
    """
    if n is None or has_kernel(SIZES_KNOWN, mask):
        return torch.nonzero(mask).flatten()
    places = torch.arange(len(mask), device=mask.device)
    number = torch.where(mask, mask.cumsum(0) - 1, n)
    return places.new_zeros(n + 1).scatter_(0, number, places)[:n]


def repeated(values: Tensor) -> Tensor:
    """[m] bool: which of the ascending `values` [m] repeat the one before.

    >>> repeated(torch.tensor([3, 7, 7]))
    tensor([False, False,  True])
    """
    return torch.cat([values.new_zeros(1, dtype=torch.bool), values[1:] == values[:-1]])


@dataclass(frozen=True)
class Marked:
    """The marked rows of tables [n, ...].

    Attributes:
        rows: [m] int64 which they are; None where all rows stay in place.
        weights: [m] one for the rows that count and zero for the others; None where all of them count.
        none: whether it is known that there is none.
    """

    rows: Tensor | None
    weights: Tensor | None
    none: bool

    def take(self, table: Tensor) -> Tensor:
        """The rows [m, ...] of `table` [n, ...]."""
        return table if self.rows is None else table.index_select(0, self.rows)


def marked(mask: Tensor) -> Marked:
    """The rows where `mask` [n] is true: these alone on a CPU, elsewhere all rows with weights.

    >>> marked(torch.tensor([False, True])).take(torch.tensor([3.0, 5.0]))
    tensor([5.])
    """
    if not has_kernel(SIZES_KNOWN, mask):
        return Marked(None, mask.to(torch.get_default_dtype()), none=False)
    rows = torch.nonzero(mask).flatten()
    return Marked(None if len(rows) == len(mask) else rows, None, none=not len(rows))


def mean_of(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over the first dimension of the `values` [n, ...] whose weight [n] is one; zero where there is none.

    >>> mean_of(torch.tensor([1.0, 3.0, 50.0]), torch.tensor([1.0, 1.0, 0.0]))
    tensor(2.)
    """
    if weights is None:
        return values.mean(0)
    weighted = values * weights.view(-1, *[1] * (values.ndim - 1))
    return weighted.sum(0) / weights.sum().clamp(min=1)
