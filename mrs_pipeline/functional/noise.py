"""Noise that models add to vectors in training. Dropout is in `dropout`."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def sign_noise(rows: Tensor, length: float, generator: torch.Generator) -> Tensor:
    """[N, D] noise of that `length` a row, in the orthant that the row of `rows` [N, D] is in (SimGCL); no gradient."""
    drawn = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=rows.dtype)
    return length * rows.detach().sign() * normalize(drawn, dim=1)


def gumbel(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise of the shape of `logits`, whose softmax with it is a relaxed draw (Jang et al., 2017)."""
    drawn = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    tiny = torch.finfo(logits.dtype).tiny
    return -(-drawn.clamp(min=tiny).log()).clamp(min=tiny).log()
