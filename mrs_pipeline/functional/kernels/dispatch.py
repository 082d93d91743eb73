"""The one rule of which version runs: the kernel where it pays, the reference everywhere else."""

from torch import Tensor

SPARSE = frozenset({"cpu", "cuda"})
"""Devices of kernels on sparse matrices: they spare copies of rows for each edge, and memory is scarce on both."""
DENSE = frozenset({"cpu"})
"""Devices of kernels that spare passes over memory; a GPU's own operations are as fast."""


def has_kernel(devices: frozenset[str], tensor: Tensor) -> bool:
    """Whether the kernel runs where `tensor` is; otherwise the caller takes the reference."""
    return tensor.device.type in devices
