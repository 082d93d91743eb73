"""How extraction is done on this machine: processes, chunks, device. No part of a fingerprint."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

PARALLEL_FROM = 256
"""Items from which starting worker processes (about a second) pays, where their number is left open."""


class EngineSettings(BaseModel):
    """Resources of one extraction."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    workers: int | None = Field(default=None, ge=0, le=64)
    """Processes that read and decode media; 0 for none, open for one a core (at most 8) where it pays."""
    chunk_items: int = Field(default=1024, ge=1, le=65_536)
    """Items written at once: what a kill can lose, and what length-sorted text batches are cut from."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """Where pretrained encoders run; `auto` takes a GPU where there is one."""
    compile: bool = False
    """Compile pretrained encoders first (`torch.compile`); pays on a GPU for many items of one shape."""
    pretrained: Path = Path("models/pretrained")
    """Folder in which hub models are looked for first, as `<organisation>/<model>` below it."""

    code: str = ""
    """Digest of the code that makes rows; rows of other code are not reused. It alone is part of the fingerprint."""

    def worker_count(self, n_items: int) -> int:
        """Processes to start for so many items."""
        if self.workers is not None:
            return self.workers
        return 0 if n_items < PARALLEL_FROM else min(_cores(), 8)


def _cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
