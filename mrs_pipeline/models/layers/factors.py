"""Vectors that fall into K factors, as disentangled models have them."""

from torch import Tensor


def numbered_parts(users: Tensor, items: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Factors [U, K, d] and [I, K, d] as `HasParts.parts` gives them: factor 1, factor 2, ...

    >>> import torch
    >>> parts = numbered_parts(torch.zeros(3, 2, 4), torch.zeros(5, 2, 4))
    >>> {name: (users.shape, items.shape) for name, (users, items) in parts.items()}
    {'factor 1': (torch.Size([3, 4]), torch.Size([5, 4])), 'factor 2': (torch.Size([3, 4]), torch.Size([5, 4]))}
    """
    pairs = zip(users.unbind(1), items.unbind(1), strict=True)
    return {f"factor {number}": pair for number, pair in enumerate(pairs, 1)}


def inverse_length(squares: Tensor) -> Tensor:
    """1 / sqrt of squared lengths of any shape; large, not infinite, where they are zero."""
    return squares.clamp(min=1e-24).rsqrt()
