"""The one rule of which version runs: the kernel where it pays, the reference everywhere else."""

from typing import Any

import torch
from torch import Tensor

SPARSE = frozenset({"cpu", "cuda"})
"""Devices of kernels on sparse matrices: they spare copies of rows for each edge, and memory is scarce on both."""
DENSE = frozenset({"cpu"})
"""Devices of kernels that spare passes over memory; a GPU's own operations are as fast."""
INTO_PLACE = frozenset({"cpu"})
"""Devices on which sparse products into memory that still holds anything have been seen to come out right and pay.
`mrs_pipeline_tests/models/test_on_accelerators.py` asks it of a GPU: `cuda` belongs here once it has passed there."""
SIZES_KNOWN = frozenset({"cpu"})
"""Devices on which the host knows at once how many rows a result has. It would have to wait for a GPU to say so: there,
results have the largest size that they could have."""


def device_type(tensor: Tensor) -> str:
    """`cpu`, `cuda`, ...: the kind of device that `tensor` is on."""
    return tensor.device.type


def has_kernel(devices: frozenset[str], tensor: Tensor) -> bool:
    """Whether the kernel runs where `tensor` is; otherwise the caller takes the reference."""
    return device_type(tensor) in devices


def kernel(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """What `function` gives for `arguments`, in float32 also under autocast: sparse products know no less."""
    kinds = {each.device.type for each in arguments if isinstance(each, Tensor)} & {"cpu", "cuda"}
    rounding = [kind for kind in kinds if torch.is_autocast_enabled(kind)]
    if not rounding:
        return function.apply(*arguments)  # type: ignore[no-any-return, no-untyped-call]
    with torch.autocast(rounding[0], enabled=False):
        return function.apply(*map(_widened, arguments))  # type: ignore[no-any-return, no-untyped-call]


def _widened(argument: Any) -> Any:
    low = isinstance(argument, Tensor) and argument.dtype in (torch.bfloat16, torch.float16)
    return argument.float() if low else argument
