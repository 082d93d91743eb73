"""Noise that models add to vectors in training. Dropout is in `dropout`."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def sign_noise(rows: Tensor, length: float, generator: torch.Generator, n: int | None = None) -> Tensor:
    """[N, D] noise of that `length` a row, in the orthant that the row of `rows` [N, D] is in (SimGCL); no gradient.

    Where N is not known beforehand (`distinct`), noise is drawn for `n` rows, the most there could be.
    """
    shape = (len(rows) if n is None else n, rows.shape[1])
    drawn = torch.rand(shape, generator=generator, device=rows.device, dtype=rows.dtype)[: len(rows)]
    return length * rows.detach().sign() * normalize(drawn, dim=1)


def gumbel(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise of the shape of `logits`, whose softmax with it is a relaxed draw (Jang et al., 2017)."""
    drawn = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    tiny = torch.finfo(logits.dtype).tiny
    return -(-drawn.clamp(min=tiny).log()).clamp(min=tiny).log()
