"""First values of parameters: tables of identifiers, linear layers, single vectors. All draw from a generator."""

import torch
from torch import Tensor, nn


def embedding(seen: Tensor, size: int, generator: torch.Generator) -> nn.Parameter:
    """A table [n, size] of identifier vectors, Xavier-normal; rows not `seen` [n] in training are zero.

    A row without a training interaction gets no gradient. Left random it would add noise to the scores of
    cold users and items; at zero it says nothing, and what is known from features or neighbours speaks alone.

    >>> table = embedding(torch.tensor([True, False]), 3, torch.Generator().manual_seed(1))
    >>> (table == 0).all(1)
    tensor([False,  True])
    """
    return nn.Parameter(xavier((len(seen), size), generator) * seen.unsqueeze(1))


def linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier-normal weights drawn from `generator`, and zero bias if it has one."""
    layer = nn.Linear(inputs, outputs, bias=bias, device=generator.device)
    nn.init.xavier_normal_(layer.weight, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def vector(size: int, generator: torch.Generator) -> nn.Parameter:
    """A learned vector [size] that stands for what is missing, Xavier-normal as a table of one row."""
    return nn.Parameter(xavier((1, size), generator)[0])


def xavier(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A Xavier-normal tensor of two or more dimensions."""
    return nn.init.xavier_normal_(torch.empty(shape, device=generator.device), generator=generator)
