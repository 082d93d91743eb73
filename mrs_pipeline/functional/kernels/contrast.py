"""The softmax contrast of rows with each other, with multiplicities. Losses made of it are in `losses`."""

from typing import Any

import torch
from torch import Tensor

from mrs_pipeline.functional.kernels.dispatch import DENSE, has_kernel, kernel


def contrast(anchors: Tensor, keys: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """sum_i r_i (log sum_j c_j e^<a_i, k_j> - <a_i, k_i>) / sum_i r_i, a scalar.

    Keys beyond the first n are the anchors again, in their order; no anchor is compared with itself.

    Args:
        anchors: [n, D].
        keys: [n, D] or [2 n, D].
        rows: [n] how often each anchor stands in the batch, maybe zero times; no gradient.
        columns: [n] or [2 n] how often each key does; no gradient.
    """
    if has_kernel(DENSE, anchors):
        return kernel(_Contrast, anchors, keys, rows, columns)
    return contrast_reference(anchors, keys, rows, columns)


def contrast_reference(anchors: Tensor, keys: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Plain `contrast`."""
    n = len(anchors)
    products = anchors @ keys.T
    own = products.diagonal()
    itself = torch.ones_like(products, dtype=torch.bool).triu(n).tril(n)
    # a finite number, so that rows among which nothing counts give no NaN
    absent = (columns == 0).expand_as(products)
    logits = (products + columns.clamp(min=1).log()).masked_fill(
        itself | absent, torch.finfo(products.dtype).min
    )
    return (rows * (logits.logsumexp(1) - own)).sum() / rows.sum().clamp(min=1)


class _Contrast(torch.autograd.Function):
    """One buffer of all exponentials and no pass over it but exp and two products.

    Cross entropy of torch, with a log-softmax and its backward as passes of their own, takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, keys: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        products = anchors @ keys.T
        own = products.diagonal().clone()
        if len(keys) > len(anchors):
            products.diagonal(len(anchors)).fill_(-torch.inf)
        peaks = products.amax(1, keepdim=True)
        exponentials = products.sub_(peaks).exp_()
        sums = exponentials @ columns
        shares = rows / rows.sum()
        ctx.save_for_backward(anchors, keys, exponentials, shares / sums, shares, columns)
        return (shares * (sums.log() + peaks.squeeze(1) - own)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        anchors, keys, exponentials, scale, shares, columns = ctx.saved_tensors
        n = len(anchors)
        of_anchors = exponentials @ (columns.unsqueeze(1) * keys) * scale.unsqueeze(1)
        of_anchors -= shares.unsqueeze(1) * keys[:n]
        of_keys = exponentials.T @ (scale.unsqueeze(1) * anchors) * columns.unsqueeze(1)
        of_keys[:n] -= shares.unsqueeze(1) * anchors
        return of_anchors * gradients[0], of_keys * gradients[0], None, None
