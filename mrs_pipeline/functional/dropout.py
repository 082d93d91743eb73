"""Dropout that draws from a given generator; torch's own uses the global one, which no checkpoint keeps."""

import torch
from torch import Tensor


def dropout(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Zeroes each element with probability `p` and divides the others by 1 - p; callers pass 0 when not training."""
    if p <= 0:
        return x
    kept = torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x * kept.div_(1 - p)
