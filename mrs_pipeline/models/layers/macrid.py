"""Auto-encoders of users with one vector for each of K kinds of items (MacridVAE, SEM-MacridVAE).

Item vectors, cores and what is said of the codes' spread belong in the models.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.functional.distinct import distinct
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.folding import history_matrix
from mrs_pipeline.functional.kernels.row_sums import weighted_row_sums
from mrs_pipeline.functional.kernels.rows import take_rows
from mrs_pipeline.functional.sparse import Csr
from mrs_pipeline.models.base import HistoryScorer, Recommender, Scorer, UserRowBatch
from mrs_pipeline.models.config import GradientConfig
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.factors import inverse_length, numbered_parts
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.parameters import embedding, linear

_USERS_AT_ONCE = 1024
"""Users whose factors are computed together."""


class MacridConfig(GradientConfig):
    """Settings of auto-encoders with K factors."""

    n_factors: int = Field(default=7, ge=1, le=64)
    """Cores K."""
    hidden_size: int = Field(default=600, ge=1, le=8192)
    """Width H of the encoder's hidden layer."""
    temperature: float = Field(default=0.1, ge=0.03)
    """Divides cosines, of items with cores and of users with items; in single precision no less than 0.03 works."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of a user's items that the encoder does not see."""
    kl_weight: float = Field(default=0.2, ge=0)
    """Weight of the KL term."""


MacridT_co = TypeVar("MacridT_co", bound=MacridConfig, covariant=True)


class MacridRecommender(Recommender[MacridT_co, UserRowBatch]):
    """p_uj = sum_k e^(<z_k, i_j> / temperature) C_jk, of items, cores and codes z_k of length one.

    A subclass draws `cores` [K, D] and what items are made of (`draw_items`), and gives their vectors (`item_vectors`).
    """

    cores: nn.Parameter

    def __init__(self, config: MacridT_co, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._history = interaction_matrix(inputs)
        self.draw_items(inputs)
        self.first: nn.Parameter = embedding(inputs.items_seen(), config.hidden_size, generator)
        self.first_bias = nn.Parameter(torch.zeros(config.hidden_size, device=inputs.device))
        self.second = linear(config.hidden_size, 2 * config.embedding_size, generator)

    def draw_items(self, inputs: ModelInputs) -> None:
        """Makes the parameters of items and cores."""
        raise NotImplementedError

    def item_vectors(self) -> Tensor:
        """[I, D], of any length."""
        raise NotImplementedError

    def scorer(self) -> Scorer:
        """Items are placed once; a user's factors are computed when they are asked for."""
        score = self._row_scorer()
        return lambda users: score(self._history.take(users))

    def history_scorer(self) -> HistoryScorer:
        """The same for the factors of any histories."""
        score = self._row_scorer()
        return lambda histories: score(history_matrix(histories, self.n_items))

    def _row_scorer(self) -> Callable[[Csr], Tensor]:
        """A function from histories as rows [B, I] to scores [B, I]."""
        items, shares = self.placed_items()

        def score(rows: Csr) -> Tensor:
            factors = normalize(self.encode(rows, shares)[0], dim=2)
            total = items.new_zeros(rows.shape[0], self.n_items)
            for factor in range(self.config.n_factors):
                total += self._affinity(factors[:, factor], items) * shares[:, factor]
            return total.log()

        return score

    def factors(self) -> tuple[Tensor, Tensor]:
        """Mean factors of users [U, K, D]; items [I, K, D], an item's vector spread by its shares of the cores."""
        items, shares = self.placed_items()
        everyone = torch.arange(self.n_users, device=self.device)
        users = [
            normalize(self.encode(self._history.take(chunk), shares)[0], dim=2)
            for chunk in torch.split(everyone, _USERS_AT_ONCE)
        ]
        return torch.cat(users), items.unsqueeze(1) * shares.unsqueeze(2)

    def placed_items(self) -> tuple[Tensor, Tensor]:
        """Item vectors [I, D] of length one and their shares of the cores [I, K]."""
        items = normalize(self.item_vectors(), dim=1)
        likeness = items @ normalize(self.cores, dim=1).T
        return items, torch.softmax(likeness / self.config.temperature, dim=1)

    def encode(self, rows: Csr, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Means [B, K, D] and log-variances [B, K, D] of the users whose items are `rows`."""
        weights = take_rows(shares, rows.indices)
        owners = rows.row_numbers()
        squares = weights.new_zeros(rows.shape[0], weights.shape[1]).index_add(0, owners, weights.square())
        weights = weights * take_rows(inverse_length(squares), owners)
        if self.training:
            weights = dropout(weights, self.config.dropout, self.generator)
        hidden = torch.tanh(weighted_row_sums(rows, weights, self.first) + self.first_bias)
        means, log_variances = self.second(hidden).chunk(2, dim=2)
        return means, log_variances

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Each factor of users, and the items' share in it."""
        return numbered_parts(*self.factors())

    def _affinity(self, factor: Tensor, items: Tensor) -> Tensor:
        """e^(cosine / temperature) [B, I] of one factor [B, D] with all items."""
        likeness: Tensor = (factor / self.config.temperature) @ items.T
        return likeness.exp()

    def nll(self, rows: Csr, factors: Tensor, items: Tensor, shares: Tensor) -> Tensor:
        """Mean over users of -sum_(j in x_u) log(p_uj / sum_j p_uj)."""
        total = torch.stack(
            [
                self._affinity(factors[:, factor], items) @ shares[:, factor]
                for factor in range(self.config.n_factors)
            ]
        ).sum(0)
        owners = rows.row_numbers()
        own, place = distinct(rows.indices)
        cosines = (take_rows(factors, owners) * take_rows(take_rows(items, own), place).unsqueeze(1)).sum(2)
        likely = ((cosines / self.config.temperature).exp() * take_rows(shares, rows.indices)).sum(1)
        nll: Tensor = take_rows(total, owners).log() - likely.log()
        return nll.sum() / rows.shape[0]
