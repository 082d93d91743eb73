"""Vectors that fall into K factors, as disentangled models have them."""

from torch import Tensor


def numbered_parts(users: Tensor, items: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Factors [U, K, d] and [I, K, d] as `HasParts.parts` gives them: factor 1, factor 2, ..."""
    pairs = zip(users.unbind(1), items.unbind(1), strict=True)
    return {f"factor {number}": pair for number, pair in enumerate(pairs, 1)}


def inverse_length(squares: Tensor) -> Tensor:
    """1 / sqrt of squared lengths of any shape; large, not infinite, where they are zero."""
    return squares.clamp(min=1e-24).rsqrt()
