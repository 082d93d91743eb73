"""iALS: matrix factorisation of implicit feedback by alternating least squares.

Hu et al., "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, regularised as in Rendle et al.,
"Revisiting the Performance of iALS on Item Recommendation Benchmarks", RecSys 2022. https://arxiv.org/abs/2110.14037

Equation: y_ui = <p_u, q_i>, minimising the sum over taken pairs of (1 - y_ui)^2 + unobserved_weight * the sum over all
pairs of y_ui^2 + the sum over users of ridge_u |p_u|^2 + the sum over items of ridge_i |q_i|^2, with ridge_u =
reg_weight * (|u| + unobserved_weight * I)^f, ridge_i = reg_weight * (n_i + unobserved_weight * U)^f and f =
`frequency_power`. In turns p_u = (sum of q q' over H_u + unobserved_weight * Q'Q + ridge_u)^-1 (sum of q over H_u), and
q_i likewise.

Deviations: it starts from the truncated singular value decomposition of R in place of random vectors, so that no seed
decides the outcome. A user's vector is not stored but solved from the history and Q, as the authors fold users in.

Complexity: O(E D^2 + (U + I) D^3) a sweep, in blocks of 64 MiB, or of one long history; memory O((U + I) D).
"""

from typing import ClassVar, Never

import numpy as np
import torch
from pydantic import Field
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from torch import Tensor

from mrs_pipeline.functional.folding import history_matrix
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryVectors, Recommender
from mrs_pipeline.models.config import ModelConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.spec import BatchKind, ModelSpec
from mrs_pipeline.taxonomy import Cell

_NUMBERS_AT_ONCE = 2**24
"""Numbers that stand in memory at once while rows are solved."""


class IalsConfig(ModelConfig):
    """Settings of iALS."""

    search_space: ClassVar[SearchSpace] = {
        "embedding_size": (64, 128, 256),
        "reg_weight": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        "unobserved_weight": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    }

    embedding_size: int = Field(default=64, ge=1, le=4096)
    """Width D of user and item vectors."""
    reg_weight: float = Field(default=1e-2, gt=0)
    """Weight of squared lengths (the papers' lambda)."""
    unobserved_weight: float = Field(default=0.1, gt=0)
    """What a pair that was not taken counts beside one that was (the papers' alpha_0)."""
    frequency_power: float = Field(default=1.0, ge=0, le=1)
    """How far the norm of users and items with many interactions counts more; 0 is Hu et al."""
    sweeps: int = Field(default=16, ge=1, le=1000)
    """How often users, then items, are solved."""


class Ials(Recommender[IalsConfig, Never]):
    """Alternating least squares for implicit feedback; see the module."""

    spec = ModelSpec(
        name="ials",
        title="iALS",
        paper="Hu et al., ICDM 2008",
        url="https://arxiv.org/abs/2110.14037",
        cells=frozenset({Cell.BASELINE}),
        complexity="O(E D^2 + (U + I) D^3)",
        batches=BatchKind.NONE,
        histories=True,
    )
    Config = IalsConfig
    item_factors: Tensor

    def __init__(self, config: IalsConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._history = interaction_matrix(inputs)
        size = (inputs.n_items, config.embedding_size)
        self.register_buffer("item_factors", torch.zeros(size, device=inputs.device))

    def fit_closed_form(self) -> None:
        """Solves users and items in turns."""
        takers = self._history.transposed()
        self.item_factors = singular_items(self._history, self.config.embedding_size)
        for _ in range(self.config.sweeps):
            self.item_factors = self._solved(takers, self._users())

    def representations(self) -> tuple[Tensor, Tensor]:
        """Users [U, D] solved from their histories, items [I, D]."""
        return self._users(), self.item_factors

    def history_vectors(self) -> tuple[HistoryVectors, Tensor]:
        """Histories solved as the users of training are."""
        items = self.item_factors
        return lambda histories: self._solved(history_matrix(histories, self.n_items), items), items

    def _users(self) -> Tensor:
        return self._solved(self._history, self.item_factors)

    def _solved(self, rows: Csr, factors: Tensor) -> Tensor:
        """[n, D]: each row of `rows` [n, m] regressed on `factors` [m, D]."""
        config = self.config
        counts = rows.indptr.diff().to(factors.dtype)
        ridge = (
            config.reg_weight * (counts + config.unobserved_weight * len(factors)) ** config.frequency_power
        )
        return solve_rows(rows, factors, config.unobserved_weight, ridge)


def solve_rows(rows: Csr, factors: Tensor, unobserved_weight: float, ridge: Tensor) -> Tensor:
    """(sum of q q' over the entries of a row + unobserved_weight Q'Q + ridge)^-1 sum of q, for each row: [n, D].

    Args:
        rows: [n, m] of ones.
        factors: Q [m, D].
        unobserved_weight: of all pairs.
        ridge: [n], above zero.

    >>> one = Csr.from_pairs(torch.tensor([0]), torch.tensor([0]), torch.ones(1), (1, 1))
    >>> solve_rows(one, torch.tensor([[2.0]]), 0.5, torch.tensor([2.0]))  # 2 / (4 + 0.5 * 4 + 2)
    tensor([[0.2500]])
    """
    size = factors.shape[1]
    everything = unobserved_weight * factors.T @ factors
    with_nothing = torch.cat([factors, factors.new_zeros(1, size)])
    solved = factors.new_zeros(rows.shape[0], size)
    lengths, order = rows.indptr.diff().long().sort(stable=True)
    start = 0
    while start < len(order):
        # rows are padded to the longest of their block: the last one, as they ascend
        window = lengths[start : start + max(1, _NUMBERS_AT_ONCE // (2 * size**2))]
        needed = torch.arange(1, len(window) + 1, device=window.device) * size * (window + 2 * size)
        end = start + max(1, int((needed <= _NUMBERS_AT_ONCE).sum()))
        block = order[start:end]
        taken = with_nothing[_padded(rows.take(block), len(factors))]
        system = taken.mT @ taken + everything
        system.diagonal(dim1=1, dim2=2).add_(ridge[block].unsqueeze(1))
        right = taken.sum(1).unsqueeze(2)
        solved[block] = torch.cholesky_solve(right, torch.linalg.cholesky(system)).squeeze(2)
        start = end
    return solved


def _padded(rows: Csr, nothing: int) -> Tensor:
    """Columns of the entries of each row, [n, longest], filled up with the number `nothing`."""
    counts = rows.indptr.diff().long()
    places = torch.arange(int(counts.max()), device=counts.device)
    table = torch.full((len(counts), len(places)), nothing, device=counts.device)
    table[places < counts.unsqueeze(1)] = rows.indices.long()
    return table


def singular_items(rows: Csr, size: int) -> Tensor:
    """V sqrt(S) [m, size] of the truncated singular value decomposition of `rows` [n, m]; zero beyond the rank."""
    factors = rows.weights.new_zeros(rows.shape[1], size)
    rank = min(size, min(rows.shape) - 1)
    if rank < 1 or not len(rows.indices):
        return factors
    parts = (part.cpu().numpy() for part in (rows.weights.double(), rows.indices, rows.indptr))
    matrix = csr_array(tuple(parts), shape=rows.shape)
    # a start that does not depend on numbering: how often each row of the shorter side occurs
    start = matrix.sum(axis=0 if rows.shape[0] > rows.shape[1] else 1).astype(np.float64)
    _, values, items = svds(matrix, k=rank, v0=start, return_singular_vectors="vh")
    found = torch.from_numpy(np.ascontiguousarray(items.T * np.sqrt(values)))
    factors[:, :rank] = found.to(factors)
    return factors
