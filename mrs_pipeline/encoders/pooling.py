"""From hidden states to one vector an item: first token, mean, last token. Pure functions on tensors."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def first_token(hidden: "Tensor") -> "Tensor":
    """[B, D] of hidden [B, T, D]: the class token."""
    return hidden[:, 0]


def masked_mean(hidden: "Tensor", mask: "Tensor") -> "Tensor":
    """[B, D] float32 mean of hidden [B, T, D] over the positions where mask [B, T] is not zero."""
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1).clamp(min=1)


def last_token(hidden: "Tensor", mask: "Tensor") -> "Tensor":
    """[B, D] of hidden [B, T, D]: the last position where mask [B, T] is not zero, padding left or right."""
    import torch

    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (mask.bool() * positions).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def patch_mean(hidden: "Tensor", n_special: int) -> "Tensor":
    """[B, D] float32 mean over patches: of [B, T, D] without the first `n_special` tokens, or of [B, D, H, W]."""
    if hidden.dim() == 4:
        return hidden.float().mean((2, 3))
    return hidden[:, n_special:].float().mean(1)
