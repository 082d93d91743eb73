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


def info_nce(anchors: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Contrast of two views [B, D] (van den Oord et al., 2018): row i of one belongs to row i of the other.

    -mean_i log exp(cos(a_i, b_i) / t) / sum_j exp(cos(a_i, b_j) / t); the rows must belong to different things.
    """
    similarity = normalize(anchors, dim=1) @ normalize(others, dim=1).T / temperature
    return (similarity.logsumexp(1) - similarity.diagonal()).mean()


def cross_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared correlation of the columns of one [B, D] with those of another [B, K], over the rows.

    Zero says that the two have no linear relation: the soft orthogonality of domain separation networks
    (Bousmalis et al., NeurIPS 2016), with columns standardised so that small vectors do not pass for orthogonal.
    """
    return (_standardised(one).T @ _standardised(other)).square().mean()


def misalignment(one: Tensor, other: Tensor) -> Tensor:
    """1 - mean cosine of the rows [B, D] of two views; centred over the batch, so that constants are not alike."""
    centred = (view - view.mean(0) for view in (one, other))
    first, second = (normalize(view, dim=1) for view in centred)
    return 1 - (first * second).sum(1).mean()


def _standardised(columns: Tensor) -> Tensor:
    """Columns [B, D] of mean zero and length one; constant ones become zero."""
    return normalize(columns - columns.mean(0), dim=0)
