"""Dropout with a generator of its own; torch's takes the global one, from which no run could be resumed."""

import torch
from torch import Tensor


def dropout(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Zeroes each value with probability `p` and scales the others by 1 / (1 - p)."""
    if p == 0:
        return x
    kept = torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x * kept.div_(1 - p)
