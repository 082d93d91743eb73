"""How much the parts of vectors depend on one another. Parts are [n, K, d]: n vectors cut into K factors of width d."""

import torch
from torch import Tensor

_EPSILON = 1e-8
"""Added under square roots, whose slope at zero has no bound."""


def factor_parts(vectors: Tensor, n_factors: int) -> Tensor:
    """[n, K, d] from vectors [n, K d], the factors one after another."""
    return vectors.reshape(*vectors.shape[:-1], n_factors, vectors.shape[-1] // n_factors)


def distance_correlations(parts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Distance correlation of every two factors over the n vectors, [K, K] in 0..1 (Szekely et al., 2007).

    With A_k the Euclidean distances within factor k, centred by row, column and total: dcov_kl^2 = mean(A_k * A_l),
    dcor_kl = dcov_kl / sqrt(dcov_kk dcov_ll). It is zero in the limit exactly where two factors are independent,
    be their relation linear or not. Takes O(K n^2) memory.

    Args:
        parts: [n, K, d].
        weights: [n] one for the vectors that count and zero for the others; all count if None.
    """
    centred = _centred_distances(parts, weights).flatten(1)
    counted = centred.shape[1] if weights is None else weights.sum().square().clamp(min=1)
    # an einsum over [K, n * n]: all pairs of factors cost little more than one
    covariances = (centred @ centred.T / counted).clamp(min=0)
    variances = covariances.diagonal()
    scale = (variances.unsqueeze(0) * variances.unsqueeze(1) + _EPSILON**2).sqrt()
    return (covariances / scale + _EPSILON).sqrt()


def adjacent_dependence(parts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum of the distance correlations of factors 1 and 2, 2 and 3, ..., K - 1 and K; zero for one factor.

    With `weights` [n] also zero where fewer than two vectors count.
    """
    total = distance_correlations(parts, weights).diagonal(1).sum()
    return total if weights is None else total * (weights.sum() > 1)


def mean_dependence(parts: Tensor) -> Tensor:
    """Mean distance correlation of two different factors: 0 for independent ones, 1 for copies."""
    n_factors = parts.shape[1]
    correlations = distance_correlations(parts)
    return (correlations.sum() - correlations.diagonal().sum()) / max(n_factors * (n_factors - 1), 1)


def _centred_distances(parts: Tensor, weights: Tensor | None) -> Tensor:
    """[K, n, n]; zero for pairs that do not count."""
    factors = parts.transpose(0, 1)
    squares = factors.square().sum(2)
    products = torch.bmm(factors, factors.transpose(1, 2))
    distances = (squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * products).clamp(min=0)
    distances = (distances + _EPSILON).sqrt()
    if weights is not None:
        share = weights / weights.sum().clamp(min=1)
        rows = (distances @ share).unsqueeze(2)
        total = (share @ rows).unsqueeze(1)
        pairs = weights.unsqueeze(0) * weights.unsqueeze(1)
        return (distances - rows - rows.transpose(1, 2) + total) * pairs
    rows = distances.mean(2, keepdim=True)  # and, by symmetry, the means of the columns
    return distances - rows - rows.transpose(1, 2) + rows.mean(1, keepdim=True)
