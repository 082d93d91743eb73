"""How much memory this process has held, and what becomes of memory that it has freed. Nothing else."""

import ctypes
import gc
import sys
from functools import cache
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")  # 5 resets the high-water mark, proc(5)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
_LARGEST_REUSED = 16 * 2**20


def peak_memory_mb() -> float:
    """The most resident memory that this process has held; where the kernel does not tell, what it holds now.

    On Linux `getrusage` survives the exec of a fresh process and would tell the parent's peak as the child's; the
    kernel's own high-water mark starts again.
    """
    return _told("VmHWM") or resident_memory_mb()


def resident_memory_mb() -> float:
    """The resident memory that this process holds now."""
    return _told("VmRSS") or float(psutil.Process().memory_info().rss) / 2**20


def file_memory_mb() -> float:
    """The part of the resident memory that is pages of mapped files; 0 where the kernel does not tell."""
    return _told("RssFile") or 0.0


def keep_what_is_loaded() -> None:
    """Let garbage collections pass over what is there now, if modules were imported since the last call.

    Libraries and definitions stay to the end of the process. A training collects before it measures its memory, and
    going over their million objects takes .3 s each time.
    """
    if _Loaded.modules != len(sys.modules):
        _Loaded.modules = len(sys.modules)
        gc.freeze()


class _Loaded:
    """How many modules there were when what is loaded was last left out of collections."""

    modules = 0


def _told(name: str) -> float | None:
    """MB of a line of the kernel's account of this process; None where there is none."""
    if not _STATUS.exists():
        return None
    found = [line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(found[0].split()[1]) / 1024 if found else None


def forget_peak() -> None:
    """Have `peak_memory_mb` tell the peak from now on; does nothing where the kernel is not Linux."""
    if _RESET.exists():
        _RESET.write_text("5")


def reuse_freed_blocks() -> None:
    """Have the C library keep freed blocks of up to 16 MB for the next tensors, and never change that by itself.

    Left alone, glibc takes larger and larger blocks into its heap as it goes. With a low bound each tensor is fetched
    from the system page by page, which costs a Transformer's forward pass a third of its speed. Does nothing where
    the library is another one.
    """
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_REUSED)


def give_freed_memory_back() -> None:
    """Return what is freed to the system, holes included; worth it between pieces of work, not within one.

    Tensors of ever changing shapes leave holes in the heap, and a process that encodes texts of many lengths would
    grow by half over a few thousand of them. Does nothing where the C library is not glibc.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL:
    """The C library of this process; opened once, since each opening makes classes that only the collector frees."""
    return ctypes.CDLL(None)
