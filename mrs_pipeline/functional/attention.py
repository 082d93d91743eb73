"""Softmax over what is there: over the parts of a row, and over the edges of a node."""

import torch
from torch import Tensor


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension among the places where `mask` is True; all zero where there is none."""
    allowed = scores.masked_fill(~mask, -torch.inf)
    highest = allowed.amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
    exponents = (allowed - highest).exp()
    return exponents / exponents.sum(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
