"""Bytes and products of a piece of work, counted from the operations that torch runs: forward, backward, optimiser.

Each operation reads its inputs and writes its outputs once; a view costs nothing. Of a table whose rows are gathered or
added to, only the rows that move count. A product with a sparse matrix reads its entries and a dense row for each. What
caches save is not subtracted, so an operation on small tensors may be faster than this count allows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_GATHERS: Final = frozenset({"index_select", "gather", "embedding", "index", "take"})
_SCATTERS: Final = frozenset(
    {"index_add_", "index_put_", "_index_put_impl_", "scatter_add_", "scatter_add", "index_add"}
)
_PRODUCTS: Final = frozenset(
    {"mm", "addmm", "bmm", "baddbmm", "_sparse_mm", "sparse_sampled_addmm", "addmm_"}
)


class Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what runs while it is entered.

    Attributes:
        sparse_bytes: moved by products with sparse matrices.
        dense_bytes: moved by everything else.
        flops: multiplications and additions of dense and sparse products.
        operations: how many there were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sparse_bytes = self.dense_bytes = self.flops = 0.0
        self.operations = 0

    @property
    def bytes(self) -> float:
        """All that is moved."""
        return self.sparse_bytes + self.dense_bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operation and counts it."""
        kwargs = dict(kwargs or {})
        found = func(*args, **kwargs)
        inputs, outputs = list(_tensors((args, kwargs))), list(_tensors(found))
        if not _is_view(inputs, outputs, func):
            self._count(func, inputs, outputs)
        return found

    def _count(self, func: Any, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        name = func.overloadpacket.__name__
        self.operations += 1
        sparse = next((each for each in inputs if each.layout is not torch.strided), None)
        if sparse is not None and name in _PRODUCTS:
            width = next(
                (each.shape[-1] for each in inputs if each.layout is torch.strided and each.dim() == 2), 1
            )
            entries = sparse._nnz()
            self.sparse_bytes += _bytes(sparse) + entries * width * 4 + sum(map(_bytes, outputs))
            self.flops += 2.0 * entries * width
            return
        if name in _GATHERS:
            self.dense_bytes += 2 * sum(map(_bytes, outputs)) + sum(map(_bytes, inputs[1:]))
            return
        if name in _SCATTERS:
            moved = sum(map(_bytes, inputs[1:]))
            self.dense_bytes += moved + 2 * _bytes(inputs[-1])
            return
        if name in _PRODUCTS and len(inputs) >= 2:
            left, right = inputs[-2:]
            self.flops += 2.0 * left.numel() * right.shape[-1]
        written = [each for each in outputs if all(each is not other for other in inputs)]
        kept = [each for each in outputs if any(each is other for other in inputs)]
        changed = inputs if name.endswith("_") and not outputs else kept
        self.dense_bytes += sum(map(_bytes, inputs)) + sum(map(_bytes, written)) + sum(map(_bytes, changed))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _is_view(inputs: list[Tensor], outputs: list[Tensor], func: Any) -> bool:
    """Whether nothing is moved: the outputs are parts of inputs and nothing is written, or there is no output."""
    schema = func._schema
    if any(each.alias_info is not None and each.alias_info.is_write for each in schema.arguments):
        return False
    if not outputs:
        return True
    aliased = all(each.alias_info is not None for each in schema.returns)
    return aliased or (bool(inputs) and all(any(out is each for each in inputs) for out in outputs))


def _bytes(tensor: Tensor) -> float:
    """Of what it holds; of a broadcast tensor what there is of it."""
    if tensor.layout is torch.sparse_csr:
        parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
        return float(sum(part.numel() * part.element_size() for part in parts))
    if tensor.layout is not torch.strided:
        return float(tensor._nnz() * (8 * tensor.sparse_dim() + tensor.element_size()))
    distinct = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        distinct *= size if stride else min(size, 1)
    return float(distinct * tensor.element_size())
