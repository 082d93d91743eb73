"""The pool of everything that uses an accelerator: as many places as there are GPUs, so that no two steps share one."""

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
