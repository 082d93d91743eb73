"""What a device can do at most: bytes copied and products made a second, measured here and now. Needs torch alone."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_COPIED = {"cpu": 2**25, "cuda": 2**28}
"""Floats of the table that is copied: far more than any cache holds."""
_WIDTH = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of the matrices that are multiplied."""


@dataclass(frozen=True)
class Limits:
    """Rates of a device.

    Attributes:
        bytes_per_second: read and written by copying a table.
        flops: float32 multiplications and additions of a product a second.
        bfloat16_flops: the same in bfloat16.
    """

    bytes_per_second: float
    flops: float
    bfloat16_flops: float

    def seconds(self, n_bytes: float = 0.0, flops: float = 0.0) -> float:
        """The least time for so many bytes and float32 operations, which may overlap."""
        return max(n_bytes / self.bytes_per_second, flops / self.flops)


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Median seconds of `work`, the device's own included; one run before them is not counted."""
    work()
    found = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured_limits(device: torch.device) -> Limits:
    """The rates of `device`; takes a second or two."""
    copying = _copy_seconds(device)
    width = _WIDTH[device.type]
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        left = torch.randn(width, width, device=device).to(dtype)
        seconds = seconds_of(lambda left=left: left @ left, device)  # type: ignore[misc]
        rates.append(2 * width**3 / seconds)
    return Limits(2 * 4 * _COPIED[device.type] / copying, *rates)


def _copy_seconds(device: torch.device) -> float:
    table = torch.ones(_COPIED[device.type], device=device)
    copy = torch.empty_like(table)
    return seconds_of(lambda: copy.copy_(table), device)
