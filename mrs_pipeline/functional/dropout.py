"""Dropout from a generator of one's own; torch's draws from the global one, so a run could not be resumed exactly."""

import torch
from torch import Tensor


def dropout(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Zeroes entries of `x` with probability `p` and scales the others by 1 / (1 - p). For training only."""
    if p == 0:
        return x
    kept = torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x * kept.div_(1 - p)
