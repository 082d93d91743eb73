"""Training losses, each under the name and the scaling of its source.

Papers that share a name scale it differently; where two scalings are needed they are two functions. `weights` [B] is
one for the rows that count and zero for rows that stand there for the size alone (`distinct`); None where all count.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, normalize

from mrs_pipeline.functional.distinct import counted, mean_of
from mrs_pipeline.functional.kernels.contrast import contrast
from mrs_pipeline.functional.kernels.rows import frobenius_norm, take_rows


def bpr(gaps: Tensor, weights: Tensor | None = None) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., UAI 2009): -mean log sigmoid(s_ui - s_uj); gaps [B].

    Without an opinion, log 2:

    >>> bpr(torch.tensor([0.0, 0.0]))
    tensor(0.6931)
    """
    return -mean_of(logsigmoid(gaps), weights)


def bpr_inner(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """`bpr` where scores are inner products of rows [B, D].

    >>> user, liked, other = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]).split(1)
    >>> bpr_inner(user, liked, other) == bpr(torch.tensor([3.0]))
    tensor(True)
    """
    return bpr((users * (positives - negatives)).sum(1))


def embedding_norm(*rows: Tensor) -> Tensor:
    """Sum over tables of the (un-squared) Frobenius norm of the batch's rows [B, D], divided by B.

    The regulariser of the MMRec family; note that it is not squared.

    >>> embedding_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))  # sqrt(9 + 16) / 2
    tensor(2.5000)
    """
    return torch.stack([frobenius_norm(table) for table in rows]).sum() / len(rows[0])


def squared_norm(*rows: Tensor) -> Tensor:
    """Half the sum of squares of the batch's rows [B, D], divided by B (LightGCN, LATTICE, MGCN).

    >>> squared_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))  # (9 + 16) / 2 / 2
    tensor(6.2500)
    """
    return torch.stack([table.square().sum() for table in rows]).sum() / (2 * len(rows[0]))


def cosine_distance(one: Tensor, other: Tensor, weights: Tensor | None = None) -> Tensor:
    """1 - mean cosine of the rows of two views [B, D]; a row of zeros counts as orthogonal.

    >>> cosine_distance(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[5.0, 0.0], [1.0, 0.0]]))
    tensor(0.5000)
    """
    return _distance((normalize(one, dim=1) * normalize(other, dim=1)).sum(1), weights)


def product_contrast(
    anchors: Tensor, others: Tensor, temperature: float, weights: Tensor | None = None
) -> Tensor:
    """-mean_i log softmax_j(<a_i, b_j> / temperature) at j = i: contrast of two views [B, D] by inner products.

    >>> views = torch.eye(2)
    >>> product_contrast(views, views, 1.0)  # log(e + 1) - 1
    tensor(0.3133)
    """
    products = (anchors / temperature) @ others.T
    compared = products
    if weights is not None:
        compared = products.masked_fill(weights == 0, torch.finfo(products.dtype).min)
    return mean_of(compared.logsumexp(1) - products.diagonal(), weights)


def info_nce(anchors: Tensor, others: Tensor, temperature: float, weights: Tensor | None = None) -> Tensor:
    """-mean_i log softmax_j(cos(a_i, b_j) / temperature) at j = i, over the rows of a batch (van den Oord, 2018).

    Args:
        anchors: [B, D].
        others: [B, D]; row i belongs to anchor i, all other rows are its negatives.
        temperature: of the softmax.
        weights: [B] which rows count; all if None.

    >>> views = 5 * torch.eye(2)  # lengths do not matter
    >>> info_nce(views, views, 1.0)
    tensor(0.3133)
    """
    counts = anchors.new_ones(len(anchors)) if weights is None else weights
    return info_nce_counted(anchors, others, counts, temperature)


def info_nce_counted(anchors: Tensor, others: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """`info_nce` of the batch in which row i of `anchors` and `others` [n, D] stands `counts[i]` times.

    A popular item stands many times in a batch; that its rows are compared once is the same loss, only faster.

    >>> one, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    >>> twice = torch.tensor([2, 1])
    >>> repeated = info_nce(one.repeat_interleave(twice, 0), other.repeat_interleave(twice, 0), 0.5)
    >>> torch.allclose(info_nce_counted(one, other, twice, 0.5), repeated)
    True
    """
    counts = counts.to(anchors.dtype)
    keys = normalize(others, dim=1)
    return contrast(normalize(anchors, dim=1) / temperature, keys, counts, counts)


def info_nce_between_labels(anchors: Tensor, others: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """`info_nce` whose negatives are the rows [B, D] of another label [B] alone.

    >>> views = torch.eye(2)
    >>> info_nce_between_labels(views, views, torch.tensor([7, 7]), 1.0)
    tensor(0.)
    """
    cosines = normalize(anchors, dim=1) @ normalize(others, dim=1).T
    alike = labels.unsqueeze(1) == labels
    alike.fill_diagonal_(False)
    rows = torch.arange(len(labels), device=labels.device)
    return cross_entropy((cosines / temperature).masked_fill(alike, -torch.inf), rows)


def info_nce_among_all(one: Tensor, other: Tensor, rows: Tensor, temperature: float) -> Tensor:
    """-mean log softmax_j cos(one_r, other_j) / temperature at j = r over `rows` [B] with repetitions; all rows j.

    >>> views = torch.eye(2)
    >>> info_nce_among_all(views, views, torch.tensor([0, 0]), 1.0)
    tensor(0.3133)
    """
    distinct, _, counts = counted(rows)
    anchors = normalize(take_rows(one, distinct), dim=1)
    losses = cross_entropy(anchors @ normalize(other, dim=1).T / temperature, distinct, reduction="none")
    total: Tensor = (losses * counts).sum() / len(rows)
    return total


def grace(anchors: Tensor, others: Tensor, temperature: float, weights: Tensor | None = None) -> Tensor:
    """`info_nce` whose negatives are the other anchors too (Zhu et al., "Deep Graph Contrastive Learning", 2020).

    -mean_i log e^(cos(a_i, b_i) / t) / (sum_j e^(cos(a_i, b_j) / t) + sum_(j != i) e^(cos(a_i, a_j) / t)).

    >>> views = torch.eye(2)
    >>> grace(views, views, 1.0)  # log(e + 2) - 1
    tensor(0.5514)
    """
    unit = normalize(anchors, dim=1)
    keys = torch.cat([normalize(others, dim=1), unit])
    rows = anchors.new_ones(len(anchors)) if weights is None else weights
    return contrast(unit / temperature, keys, rows, rows.repeat(2))


def mean_square(*rows: Tensor) -> Tensor:
    """Sum over tables of the mean of the squares of their rows [B, D] (MMGCN, GRCN, DualGNN).

    >>> mean_square(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 1.0]]))  # 12.5 + 1
    tensor(13.5000)
    """
    return torch.stack([table.square().mean() for table in rows]).sum()


def log_uniformity(unit: Tensor, weights: Tensor | None = None) -> Tensor:
    """Log mean over pairs of distinct rows [n, D] of length one of e^(-2 |x_a - x_b|^2); zero for a single row.

    Only rows whose `weights` [n] are one count, where these are given.

    >>> log_uniformity(torch.eye(3)).round(decimals=4)  # rows at right angles
    tensor(-4.)
    """
    n = len(unit)
    if n < 2:
        return unit.sum() * 0
    if weights is not None:
        shares = (weights.unsqueeze(0) * weights.unsqueeze(1)).triu(1)
        total = ((4 * (unit @ unit.T) - 4).exp() * shares).sum()
        return torch.where(total > 0, total / shares.sum().clamp(min=1), 1.0).log()
    pairs = torch.ones(n, n, dtype=torch.bool, device=unit.device).triu(1)
    return (4 * (unit @ unit.T)[pairs] - 4).exp().mean().log()


def cross_correlation(one: Tensor, other: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared correlation of the columns of one [B, D] with those of another [B, K], over the rows.

    Zero says that the two have no linear relation: the soft orthogonality of domain separation networks
    (Bousmalis et al., NeurIPS 2016), with columns standardised so that small vectors do not pass for orthogonal.

    >>> column = torch.tensor([[1.0], [2.0], [3.0]])
    >>> hill = torch.tensor([[1.0], [-2.0], [1.0]])
    >>> [round(cross_correlation(column, other).item(), 4) for other in (-2 * column, column + hill)]
    [1.0, 0.25]
    """
    return (_standardised(one, weights).T @ _standardised(other, weights)).square().mean()


def misalignment(one: Tensor, other: Tensor, weights: Tensor | None = None) -> Tensor:
    """1 - mean cosine of the rows [B, D] of two views; centred over the batch, so that constants are not alike.

    >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> torch.allclose(misalignment(rows, 3 * rows + 1), torch.tensor(0.0), atol=1e-6)
    True
    >>> round(misalignment(rows, -rows).item(), 4)
    2.0
    """
    centred = (view - mean_of(view, weights) for view in (one, other))
    first, second = (normalize(view, dim=1) for view in centred)
    return _distance((first * second).sum(1), weights)


def _distance(cosines: Tensor, weights: Tensor | None) -> Tensor:
    """1 - mean of `cosines` [B]; zero where no row counts."""
    return 1 - cosines.mean() if weights is None else mean_of(1 - cosines, weights)


def _standardised(columns: Tensor, weights: Tensor | None) -> Tensor:
    """Columns [B, D] of mean zero and length one; constant ones become zero, and so do rows that do not count."""
    centred = columns - mean_of(columns, weights)
    return normalize(centred if weights is None else centred * weights.unsqueeze(1), dim=0)
