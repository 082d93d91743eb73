"""Dropout from a given generator; torch's own draws from the global one, which a checkpoint does not keep."""

import torch
from torch import Tensor


def dropout(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Each entry of `x` zero with probability `p`, else divided by 1 - p (Srivastava et al., JMLR 2014)."""
    if p == 0:
        return x
    kept = torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x * kept.div_(1 - p)
