"""The divergence of Gaussian codes from the prior, taken apart: what is learned of the input, dependence, margins.

Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", NeurIPS 2018.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SplitDivergence:
    """Means over n codes z [n, D]; the first three add up to the mean of log q(z|x) - log p(z).

    Attributes:
        information: of log q(z|x) - log q(z): what a code tells of its input.
        correlation: of log q(z) - sum_d log q(z_d): how far the dimensions are from independent.
        margins: of sum_d (log q(z_d) - log p(z_d)): how far each dimension is from the prior.
        pairs: [n, n] log q(z_a|x_b) of code a under the distribution of input b.
    """

    information: Tensor
    correlation: Tensor
    margins: Tensor
    pairs: Tensor


def split_divergence(codes: Tensor, means: Tensor, log_variances: Tensor) -> SplitDivergence:
    """Of one code of each of n Gaussians [n, D], with q(z) the mean of these Gaussians; O(n^2 D) memory.

    Where all inputs have the same distribution, codes tell nothing and their dimensions are independent:

    >>> same = torch.zeros(3, 2)
    >>> found = split_divergence(torch.randn(3, 2), same, same)
    >>> bool(found.information.abs() < 1e-6), bool(found.correlation.abs() < 1e-6)
    (True, True)
    """
    each = _log_density(codes.unsqueeze(1), means, log_variances)
    pairs, n = each.sum(2), len(codes)
    whole = pairs.logsumexp(1) - math.log(n)
    margins = (each.logsumexp(1) - math.log(n)).sum(1)
    prior = _log_density(codes, torch.zeros_like(codes), torch.zeros_like(codes)).sum(1)
    return SplitDivergence(
        (pairs.diagonal() - whole).mean(), (whole - margins).mean(), (margins - prior).mean(), pairs
    )


def cross_dependence(one: SplitDivergence, other: SplitDivergence) -> Tensor:
    """Mean of log q(z, w) - log q(z) - log q(w): how far two codes of the same n inputs are from independent."""
    n = math.log(len(one.pairs))
    joint = (one.pairs + other.pairs).logsumexp(1)
    return (joint - one.pairs.logsumexp(1) - other.pairs.logsumexp(1)).mean() + n


def _log_density(values: Tensor, means: Tensor, log_variances: Tensor) -> Tensor:
    squares = (values - means).square() * (-log_variances).exp()
    return -(squares + log_variances + math.log(2 * math.pi)) / 2
