"""How much memory a training takes: above what the process holds before, on a GPU above what is allocated there.

The one definition of a model's memory: the most that is held from before the model is built, with its data read, to the
end of its training, validations included, less what was held at the start. What a process holds as a whole grows
with all that it has done before, and says little of the model.
"""

import gc
from functools import cache

import psutil
import torch
from torch import nn

from mrs_pipeline.memory import (
    file_memory_mb,
    forget_peak,
    give_freed_memory_back,
    peak_memory_mb,
    resident_memory_mb,
)


class MemoryMeter:
    """Measures from its making on.

    On a CPU it is the kernel's high-water mark less the resident size at the start: earlier garbage is collected and
    returned to the system before, and pages of files that are mapped meanwhile, libraries and stored features, do not
    count. On systems that keep no such mark it is what is held at the moments of asking. On a GPU it is the most
    that tensors took of it. What was trained before in the process moves it by no more than two fresh processes
    differ: some ten MB and a tensor or two, whose moment of being freed is up to the threads.
    """

    def __init__(self, device: torch.device) -> None:
        """Starts to measure.

        Args:
            device: where the model will be.
        """
        self._device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device) / 1e6
            return
        _load_optimizer()
        give_freed_memory_back()
        forget_peak()
        self._before, self._files = resident_memory_mb(), file_memory_mb()

    def megabytes(self) -> float:
        """The most held since the start, above what was held then."""
        if self._device.type == "cuda":
            return max(0.0, torch.cuda.max_memory_allocated(self._device) / 1e6 - self._before)
        mapped = max(0.0, file_memory_mb() - self._files)
        return max(0.0, peak_memory_mb() - self._before - mapped)


def free_bytes(device: torch.device) -> float:
    """What a device still has: of a GPU its free memory, else what this machine can give without swapping."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


@cache
def _load_optimizer() -> None:
    """The first optimiser of a process imports 70 MB of torch that stay; they are not the first model's."""
    table = nn.Parameter(torch.zeros(2, 2))
    optimizer = torch.optim.Adam([table], fused=True)
    table.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
