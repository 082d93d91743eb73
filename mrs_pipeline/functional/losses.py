"""Training losses, each under the name and the scaling of its source.

Papers that share a name scale it differently; where two scalings are needed they are two functions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize


def bpr(gaps: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., UAI 2009): -mean log sigmoid(s_ui - s_uj); gaps [B]."""
    return -logsigmoid(gaps).mean()


def bpr_inner(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """`bpr` where scores are inner products of rows [B, D]."""
    return bpr((users * (positives - negatives)).sum(1))


def embedding_norm(*rows: Tensor) -> Tensor:
    """Sum over tables of the (un-squared) Frobenius norm of the batch's rows [B, D], divided by B.

    The regulariser of the MMRec family; note that it is not squared.
    """
    norms: list[Tensor] = [_FrobeniusNorm.apply(table) for table in rows]  # type: ignore[no-untyped-call]
    return torch.stack(norms).sum() / len(rows[0])


class _FrobeniusNorm(torch.autograd.Function):
    """The norm with a backward of one pass; torch's own takes five, a sixth of BPR-MF's step."""

    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        norm: Tensor = table.norm()
        ctx.save_for_backward(table, norm)
        return norm

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        table, norm = ctx.saved_tensors
        scaled: Tensor = table * (gradients[0] / norm.clamp(min=torch.finfo(norm.dtype).tiny))
        return scaled


def squared_norm(*rows: Tensor) -> Tensor:
    """Half the sum of squares of the batch's rows [B, D], divided by B (LightGCN, LATTICE, MGCN)."""
    return torch.stack([table.square().sum() for table in rows]).sum() / (2 * len(rows[0]))


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - mean cosine of the rows of two views [B, D]; a row of zeros counts as orthogonal."""
    return 1 - (normalize(one, dim=1) * normalize(other, dim=1)).sum(1).mean()


def product_contrast(anchors: Tensor, others: Tensor, temperature: float) -> Tensor:
    """-mean_i log softmax_j(<a_i, b_j> / temperature) at j = i: contrast of two views [B, D] by inner products."""
    products = (anchors / temperature) @ others.T
    return (products.logsumexp(1) - products.diagonal()).mean()


def info_nce(anchors: Tensor, others: Tensor, temperature: float) -> Tensor:
    """-mean_i log softmax_j(cos(a_i, b_j) / temperature) at j = i, over the rows of a batch (van den Oord, 2018).

    Args:
        anchors: [B, D].
        others: [B, D]; row i belongs to anchor i, all other rows are its negatives.
        temperature: of the softmax.
    """
    return product_contrast(normalize(anchors, dim=1), normalize(others, dim=1), temperature)
