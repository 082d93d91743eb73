"""What `mrs bench complexity` measures: how a model's cost grows as items, or users, double.

The cost is that of everything before the first step (graphs, pre-training of one epoch, building) and of one training
step, or of the solution in closed form. Bytes are counted from the operations that torch runs, so that they are the
same on every machine; what NumPy and SciPy hold in between, and the data themselves, are not among them. Seconds are of
the processors, which other programs disturb least, and lean towards 0 where a model is small. An exponent is the slope
of the logarithms: 1 is linear, 2 is a table of all pairs.
"""

import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mrs_pipeline.bench.gpu_checks import built, with_needs
from mrs_pipeline.bench.gpu_market import market
from mrs_pipeline.models.registry import MODELS
from mrs_pipeline.models.spec import BatchKind
from mrs_pipeline.training.batches import batch_source
from mrs_pipeline.types import TrainingData

GROWING: Final = ("items", "users")
"""What is doubled, the other one staying as it is; users bring their rows with them."""
_BATCH: Final = 256
_CPU: Final = torch.device("cpu")


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the tensors that are made while it is entered.

    Attributes:
        peak: bytes of those that were held at once, at the most.
        largest: numbers in the largest one; the entries of a sparse one.
        shape: its shape.
        by: the operation that made it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self.largest = self._now = 0
        self.shape: tuple[int, ...] = ()
        self.by = ""
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operation and looks at what it gives."""
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.lift_fresh.default:  # arrays of the data: nothing is made
            return found
        for tensor in _tensors(found):
            self._count(tensor, str(func.overloadpacket))
        return found

    def _count(self, tensor: Tensor, by: str) -> None:
        if tensor.layout is not torch.strided:
            self._note(tensor._nnz(), tensor, by)
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        self._note(size // tensor.element_size(), tensor, by)
        weakref.finalize(storage, self._freed, key, size)

    def _note(self, numbers: int, tensor: Tensor, by: str) -> None:
        if numbers > self.largest:
            self.largest, self.shape, self.by = numbers, tuple(tensor.shape), by

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


@dataclass(frozen=True)
class Cost:
    """Of preparation and one step.

    Attributes:
        cpu_seconds: of the processors.
        peak_bytes: of tensors held at once.
        largest: numbers in the largest tensor.
        made_by: the operation that made it and its shape.
    """

    cpu_seconds: float
    peak_bytes: int
    largest: int
    made_by: str


def cost_of(name: str, data: TrainingData) -> Cost:
    """What a model of the registry takes, with its default settings."""
    started = time.process_time()
    with LiveTensors() as held:
        model, inputs = built(name, with_needs(name, data), _CPU)
        if model.spec.batches is BatchKind.NONE:
            model.fit_closed_form()
        else:
            model.train()
            model.start_epoch()
            batch: Any = next(batch_source(model, inputs, _BATCH).epoch(model.generator))
            optimiser = torch.optim.Adam([dict(group) for group in model.parameter_groups()], fused=True)
            torch.stack(list(model.loss(batch).values())).sum().backward()
            optimiser.step()
    return Cost(time.process_time() - started, held.peak, held.largest, f"{held.by} {list(held.shape)}")


def complexity(
    names: Sequence[str], users: int, items: int, per_user: int, doublings: int = 2
) -> pl.DataFrame:
    """A row a model and size that grows.

    Columns model, stated (`ModelSpec.complexity`), stated_memory, grows, seconds_exponent, bytes_exponent,
    largest_exponent (of the largest tensor), cpu_seconds, peak_mb and made_by at the largest size.
    """
    rows = []
    for grows in GROWING:
        factors = [2**power for power in range(doublings + 1)]
        markets = [
            market(users, items * factor, per_user, raw=True)
            if grows == "items"
            else market(users * factor, items, per_user, raw=True)
            for factor in factors
        ]
        for name in names:
            cost_of(name, markets[0])  # sets libraries up
            costs = [cost_of(name, data) for data in markets]
            rows.append(
                {
                    "model": name,
                    "stated": MODELS[name].spec.complexity,
                    "stated_memory": MODELS[name].spec.memory,
                    "grows": grows,
                    "seconds_exponent": _slope(factors, [cost.cpu_seconds for cost in costs]),
                    "bytes_exponent": _slope(factors, [cost.peak_bytes for cost in costs]),
                    "largest_exponent": _slope(factors, [cost.largest for cost in costs]),
                    "cpu_seconds": costs[-1].cpu_seconds,
                    "peak_mb": costs[-1].peak_bytes / 1e6,
                    "made_by": costs[-1].made_by,
                }
            )
    return pl.DataFrame(rows)


def _slope(factors: Sequence[int], values: Sequence[float]) -> float:
    """Of the line through the logarithms.

    >>> _slope([1, 2, 4], [3, 12, 48])
    2.0
    """
    slope = np.polyfit(np.log(factors), np.log(np.maximum(values, 1e-9)), 1)[0]
    return round(float(slope), 3) + 0.0


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
