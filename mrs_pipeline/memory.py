"""How much memory this process has held, and whether it gives back what it has freed. Nothing else."""

import ctypes
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
_LARGE_BLOCK = 65_536


def peak_memory_mb() -> float:
    """The most resident memory that this process has held; where the kernel does not tell, what it holds now.

    On Linux `getrusage` survives the exec of a fresh process and would tell the parent's peak as the child's; the
    kernel's own high-water mark starts anew.
    """
    if _STATUS.exists():
        (peak,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    return float(psutil.Process().memory_info().rss) / 1e6


def give_freed_memory_back() -> None:
    """Have the C library return large freed blocks to the system at once.

    glibc keeps them for later and raises its own threshold as it goes: tensors of ever changing shapes then leave
    holes, and a process that encodes texts of many lengths grows by half over a few thousand of them. Does nothing
    where the library is another one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BLOCK)
