"""What a process holds, and that it gives back what it has freed."""

import gc
import subprocess
import sys

import pytest

from mrs_pipeline.memory import without_collections

PEAK = """
from mrs_pipeline.memory import peak_memory_mb
before = peak_memory_mb()
block = bytearray(200_000_000)
block[::4096] = b"x" * len(block[::4096])
del block
print(before, peak_memory_mb())
"""
HOLES = """
import psutil, torch
from mrs_pipeline.memory import give_freed_memory_back, reuse_freed_blocks
reuse_freed_blocks()
pages = [(torch.ones(250_000), torch.ones(4)) for _ in range(200)]
kept = [small for _, small in pages]
del pages
kept_by_the_library = psutil.Process().memory_info().rss / 1e6
give_freed_memory_back()
print(kept_by_the_library, psutil.Process().memory_info().rss / 1e6)
"""


def _told(script: str, *args: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel tells no high-water mark")
def test_the_peak_is_the_process_s_own_and_outlives_what_it_was_for() -> None:
    ballast = bytearray(400_000_000)  # a parent's peak must not be told as the child's
    ballast[::4096] = b"x" * len(ballast[::4096])
    before, after = _told(PEAK)
    assert before < 300
    assert after - before > 150


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_blocks_are_kept_for_reuse_until_they_are_given_back() -> None:
    reusable, given_back = _told(HOLES)
    assert reusable - given_back > 150


def test_collections_go_on_after_what_was_loaded_without_them() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), without_collections():
        with without_collections():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
