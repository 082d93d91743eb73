"""How alike two rows of a matrix are by what they share, the k nearest of each row, and scores from these.

Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", RecSys 2013 (asymmetric cosine);
Deshpande & Karypis, TOIS 2004 (conditional probability). No [rows, rows] matrix is ever held: similarities are
computed in blocks of at most `_SIMILARITIES_AT_ONCE` numbers, and k of a row are kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from mrs_pipeline.functional.ranking import top_k
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.config import ModelConfig
from mrs_pipeline.models.layers.interactions import linear_scorer

_SIMILARITIES_AT_ONCE = 2**24
"""Similarities that stand in memory at once, 64 MiB."""

Similarity = Literal["cosine", "asymmetric", "conditional", "jaccard"]
Weighting = Literal["one", "inverse_root", "inverse"]
EXPONENTS: Mapping[Weighting, float] = {"one": 0.0, "inverse_root": -0.5, "inverse": -1.0}
"""What |u| is raised to in the weight of u among those whom two rows share."""
Side = Literal["source", "target"]


class NeighbourConfig(ModelConfig):
    """Settings of nearest neighbours."""

    former_names: ClassVar[Mapping[str, str]] = {"knn_k": "n_neighbours"}

    n_neighbours: int = Field(default=100, ge=1)
    """Neighbours kept of each row, itself not among them."""
    similarity: Similarity = "conditional"
    """How alike i and j are by their product N_ij: cosine N_ij / sqrt(N_ii N_jj); asymmetric N_ij / (N_ii^(1 - alpha)
    N_jj^alpha); conditional N_ij / (n_i n_j^alpha), the chance of j given i; jaccard N_ij / (N_ii + N_jj - N_ij)."""
    alpha: float = Field(default=0.0, ge=0, le=2)
    """How far a popular j counts less (asymmetric, conditional); asymmetric with .5 is cosine."""
    shrink: float = Field(default=10.0, ge=0)
    """Added to the denominator; keeps similarities small where there is little evidence."""


@dataclass(frozen=True)
class Products:
    """What similarities are made of.

    Attributes:
        rows: row numbers [B] int64 -> N [B, n], a fresh tensor: their products with all rows.
        own: [n] N_ii.
        counts: [n] how much there is of each row: n_i.
    """

    rows: Callable[[Tensor], Tensor]
    own: Tensor
    counts: Tensor


def shared_products(matrix: Csr, exponent: float) -> Products:
    """N_ij = sum_u |u|^exponent m_iu m_ju of the rows of a matrix of ones [n, U]; n_i is the number of ones.

    Args:
        matrix: [n, U].
        exponent: of the number |u| of ones in column u.

    Two rows share the first column, which three have, and the second, which counts more, as only two have it:

    >>> ones = Csr.from_pairs(torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 0, 1, 0]), torch.ones(5), (3, 2))
    >>> shared_products(ones, -1.0).rows(torch.tensor([0])).round(decimals=4)
    tensor([[0.8333, 0.8333, 0.3333]])
    """
    columns = matrix.transposed()
    weights = columns.indptr.diff().clamp(min=1).to(matrix.weights.dtype) ** exponent
    weighted = matrix.with_weights(matrix.weights * weights[matrix.indices.long()])
    own = torch.zeros(matrix.shape[0], device=weights.device, dtype=weights.dtype)
    own.index_add_(0, matrix.row_numbers(), weighted.weights)
    counts = matrix.indptr.diff().to(weights.dtype)
    return Products(linear_scorer(weighted, columns.tensor()), own, counts)


def vector_products(vectors: Tensor) -> Products:
    """N_ij = <x_i, x_j> of vectors [n, F]; n_i is |x_i|^2."""
    squares = vectors.square().sum(1)
    return Products(lambda rows: vectors[rows] @ vectors.T, squares, squares)


def nearest_rows(products: Products, config: NeighbourConfig, side: Side) -> tuple[Tensor, Tensor]:
    """Numbers [n, k] int32 of the k rows most alike to each row, and how alike they are [n, k].

    With `source` the k largest s_ij of row i are kept, with `target` the k largest s_ij of column j; ties by number.
    In a small matrix k is the number of the other rows.
    """
    n = len(products.own)
    return largest(
        lambda rows: _similarities(products, rows, config, side), kept(config.n_neighbours, n), products.own
    )


def kept(wanted: int, n: int) -> int:
    """How many neighbours are kept of each of `n` rows: no more than there are others."""
    return min(wanted, max(n - 1, 0))


def largest(values: Callable[[Tensor], Tensor], k: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Columns [n, k] int32 and values [n, k] of the k largest off the diagonal of each row, found block by block.

    Args:
        values: row numbers [B] int64 -> [B, n], a fresh tensor.
        k: how many are kept.
        like: [n] tensor whose length, device and type the outcome has.
    """
    n, device = len(like), like.device
    columns = torch.zeros(n, k, dtype=torch.int32, device=device)
    found = like.new_zeros(n, k)
    block = max(1, _SIMILARITIES_AT_ONCE // max(n, 1))
    for start in range(0, n, block):
        rows = torch.arange(start, min(start + block, n), device=device)
        part = values(rows)
        part.diagonal(start).fill_(-torch.inf)
        found[rows], nearest = top_k(part, k)
        columns[rows] = nearest.int()
    return columns, found


def _similarities(products: Products, rows: Tensor, config: NeighbourConfig, side: Side) -> Tensor:
    """[B, n]: s_ij of i in `rows` with all j, or as `target` of all i with j in `rows`."""
    asked = Products(products.rows, products.own[rows], products.counts[rows])
    return similarities_to(products.rows(rows), asked, products, config, side)


def similarities_to(
    shared: Tensor, asked: Products, products: Products, config: NeighbourConfig, side: Side
) -> Tensor:
    """The same for rows that need not be among the others.

    Args:
        shared: [B, n] the products of the rows that are asked for with all others; overwritten.
        asked: whose `own` and `counts` [B] are those of the rows that are asked for.
        products: of the n others.
        config: which similarity.
        side: which of the two is i.
    """

    def ends(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        pair = here.unsqueeze(1), there.unsqueeze(0)
        return pair if side == "source" else pair[::-1]

    own_i, own_j = ends(asked.own, products.own)
    if config.similarity == "cosine":
        scale = own_i.sqrt() * own_j.sqrt()
    elif config.similarity == "asymmetric":
        scale = own_i ** (1 - config.alpha) * own_j**config.alpha
    elif config.similarity == "conditional":
        count_i, count_j = ends(asked.counts, products.counts)
        scale = count_i * count_j**config.alpha
    else:
        scale = own_i + own_j - shared
    scale = (scale + config.shrink).clamp(min=torch.finfo(scale.dtype).tiny)
    return shared.div_(scale)
