"""What a training has before it: steps, memory, and once the first steps are done, time. Said before it takes hours."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor, nn

from mrs_pipeline.errors import InputError
from mrs_pipeline.functional.kernels.edges import EdgePattern
from mrs_pipeline.functional.kernels.multi_edges import MultiEdgePattern
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator

PROBED: Final = 5
"""Steps by which an epoch's time is estimated, the first of which does not count: it sets libraries up."""
_TOLD_FROM: Final = 100
"""Steps an epoch from which an estimate is worth a line."""
_MANY_STEPS: Final = 1000
"""Steps an epoch from which a propagation over the whole graph in each of them is warned of."""
_SUGGESTED: Final = 300
"""`max_steps` of the warning."""
_COPIES: Final = 5
"""Of each parameter at the most: itself, its gradient, Adam's two moments, the best epoch's value."""


@dataclass(frozen=True)
class Workload:
    """What an epoch of a model is.

    Attributes:
        model: its name.
        rows: training rows.
        steps: of an epoch.
        parameters: numbers that are learned.
        entries: of the largest graph that a step may propagate over; zero where there is none.
        epochs: the most there will be.
    """

    model: str
    rows: int
    steps: int
    parameters: int
    entries: int
    epochs: int

    @classmethod
    def of(cls, model: nn.Module, name: str, rows: int, steps: int, epochs: int) -> "Workload":
        """Of a model as it was built."""
        parameters = sum(each.numel() for each in model.parameters() if each.requires_grad)
        return cls(name, rows, steps, parameters, max(_graph_sizes(model), default=0), epochs)

    def estimate(self, seconds_a_step: float | None = None) -> str | None:
        """A sentence on memory and, where some steps have been timed, on time; None where epochs are short."""
        if self.steps < _TOLD_FROM:
            return None
        memory = 4 * _COPIES * self.parameters / 1e6
        said = (
            f"model '{self.model}': {self.rows:,} rows are {self.steps:,} steps an epoch; "
            f"{self.parameters:,} parameters take about {memory:,.0f} MB beside the data and a step's values"
        )
        if seconds_a_step is None:
            return said
        epoch = seconds_a_step * self.steps
        most = _duration(epoch * self.epochs)
        return f"{said}; an epoch takes about {_duration(epoch)}, {self.epochs} of them at most {most}"

    def warning(self) -> str | None:
        """What makes an epoch so long that nobody may wait for it, and the remedy; None where nothing does."""
        if self.steps < _MANY_STEPS or self.entries < self.rows:
            return None
        return (
            f"model '{self.model}': each of {self.steps:,} steps an epoch propagates over a graph of {self.entries:,} "
            f"entries; set `training: {{max_steps: {_SUGGESTED}}}` so that batches grow, or a larger batch_size"
        )


def require_memory(name: str, n_rows: int, width: int, free: float) -> None:
    """Refuse what cannot fit, before anything of it is made.

    Args:
        name: of the model.
        n_rows: users and items, each of which has a vector.
        width: of a vector; other parameters, data and the values of a step come on top.
        free: bytes.

    Raises:
        InputError: says how much is needed at least, and the remedy.
    """
    needed = 4 * _COPIES * n_rows * width
    if needed > free:
        raise InputError(
            f"model '{name}' needs at least {needed / 1e9:.1f} GB for the vectors of {n_rows:,} users and items with "
            f"their gradients and Adam's moments, and {free / 1e9:.1f} GB are free: lower its embedding_size (now "
            f"{width}), raise k_core under `interactions:`, or take a machine with more memory"
        )


def _graph_sizes(model: nn.Module) -> Iterator[int]:
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, SparseOperator):
                yield _entries(value.matrix)
            elif isinstance(value, EdgePattern | MultiEdgePattern):
                yield max(len(part) for part in _tensors(value))


def _entries(matrix: Tensor) -> int:
    return len(matrix.values()) if matrix.layout is torch.sparse_csr else matrix.numel()


def _tensors(pattern: EdgePattern | MultiEdgePattern) -> list[Tensor]:
    values = [getattr(pattern, each.name) for each in fields(pattern)]
    return [value for value in values if isinstance(value, Tensor)]


def _duration(seconds: float) -> str:
    """In words.

    >>> _duration(0.5), _duration(90), _duration(7200)
    ('0.5 s', '1.5 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
