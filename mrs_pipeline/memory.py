"""How much memory this process has held. Nothing else."""

from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")


def peak_memory_mb() -> float:
    """The most resident memory that this process has held; where the kernel does not tell, what it holds now.

    On Linux `getrusage` survives the exec of a fresh process and would tell the parent's peak as the child's; the
    kernel's own high-water mark starts anew.
    """
    if _STATUS.exists():
        (peak,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    return float(psutil.Process().memory_info().rss) / 1e6
