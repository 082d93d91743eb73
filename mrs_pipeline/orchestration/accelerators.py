"""The pool of everything that uses an accelerator: as many places as there are GPUs, each with a GPU of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg

POOL: Final = "gpu"
"""Name of the pool that tasks of extraction, training and scoring are in."""


def guard_accelerators(instance: dg.DagsterInstance) -> None:
    """Limit the pool to the GPUs of this machine, unless somebody has set a limit; without a GPU nobody waits."""
    import torch

    storage = instance.event_log_storage
    if torch.cuda.is_available() and POOL not in storage.get_concurrency_keys():
        storage.set_concurrency_slots(POOL, torch.cuda.device_count())


@contextmanager
def own_accelerator(folder: Path) -> Iterator[int | None]:
    """While the block lasts, this thread's `cuda` is a GPU that no other step of the project computes on.

    The pool says how many steps run, not which place a step has; so each holds a lock named after its GPU, which the
    system releases when a process dies. Where somebody has given the pool more places than there are GPUs, the steps
    beyond share them in turn. What names a GPU by number (`training.device: cuda:1`) goes where it says.

    Args:
        folder: of the lock files; made where it is missing.

    Yields:
        The GPU's number; None where there is none, and nothing happens.
    """
    import torch
    from filelock import FileLock, Timeout

    if not torch.cuda.is_available():
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(torch.cuda.device_count()):
        lock = FileLock(folder / f"{number}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            with torch.cuda.device(number):
                yield number
        finally:
            lock.release()
        return
    shared = os.getpid() % torch.cuda.device_count()
    with torch.cuda.device(shared):
        yield shared
