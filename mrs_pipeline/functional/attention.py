"""Attention without parameters. The scores come from modules in `models.layers.modality_attention` and from models."""

import torch
from torch import Tensor


def masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last dimension among the entries that are `allowed`, same shape; all zero where none is."""
    lowest = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~allowed, lowest), dim=-1) * allowed
