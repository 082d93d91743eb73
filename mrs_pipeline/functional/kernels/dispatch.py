"""The one rule of which version runs: the kernel where it pays, the reference everywhere else."""

from torch import Tensor

SPARSE = frozenset({"cpu", "cuda"})
"""Devices of kernels on sparse matrices: they spare copies of rows for each edge, and memory is scarce on both."""
DENSE = frozenset({"cpu"})
"""Devices of kernels that spare passes over memory; a GPU's own operations are as fast."""
SIZES_KNOWN = frozenset({"cpu"})
"""Devices on which the host knows at once how many rows a result has. It would have to wait for a GPU to say so: there,
results have the largest size that they could have."""


def device_type(tensor: Tensor) -> str:
    """`cpu`, `cuda`, ...: the kind of device that `tensor` is on."""
    return tensor.device.type


def has_kernel(devices: frozenset[str], tensor: Tensor) -> bool:
    """Whether the kernel runs where `tensor` is; otherwise the caller takes the reference."""
    return device_type(tensor) in devices
