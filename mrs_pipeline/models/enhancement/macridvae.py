"""MacridVAE. Ma et al., "Learning Disentangled Representations for Recommendation", NeurIPS 2019.

https://arxiv.org/abs/1910.14238

Equation: items i_j and K cores c_k, all of length one; C_jk = softmax_k(<i_j, c_k> / temperature). For each core
the training items x_u of a user, weighted by C_jk, scaled to length one and dropped out, go through
tanh(W1 x + b1), then a linear layer, to a mean mu_k, scaled to length one, and log-variances l_k;
z_k = mu_k + std * e^(l_k / 2) * noise, scaled to length one; p_uj = sum_k e^(<z_k, i_j> / temperature) C_jk;
loss = mean over users of -sum_(j in x_u) log(p_uj / sum_j p_uj) + kl_weight * sum_k KL_k,
KL_k = (sum e^(l_k) - l_k - 1) / 2; y_uj = log p_uj with z_k = mu_k.
Here i_j is E_j + sum_m W_m x^m/|x^m| + b_m, scaled to length one: content is where an item starts, and all
that there is of one which training has not seen.

Deviations: item vectors with content (the paper's are free); an item that lacks a modality gets a learned
vector in its place; the cores' shares are plain softmax values in training too, not Gumbel samples (the
authors' code has both); the weight of the KL term is constant, where the published ramp of 200,000 steps would leave
it unfinished on small catalogues. What only the user's own items need is computed for those alone, and the sum
over all items without a logarithm of each.

Complexity: O(B K I D + e K H) a step with e training rows and H hidden units, plus Adam's O(I (D + H)); memory
O(B K I) for B users a step.
"""

from collections.abc import Callable
from typing import ClassVar

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
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.factors import inverse_length, numbered_parts
from mrs_pipeline.models.layers.interactions import interaction_matrix
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_USERS_AT_ONCE = 1024
"""Users whose factors are computed together."""


class MacridVaeConfig(GradientConfig):
    """Settings of MacridVAE."""

    search_space: ClassVar[SearchSpace] = {
        "n_factors": (2, 4, 7, 10),
        "std": (0.01, 0.075, 0.15),
        "kl_weight": (0.01, 0.05, 0.2),
        "dropout": (0.2, 0.5, 0.8),
    }

    n_factors: int = Field(default=7, ge=1, le=64)
    """Cores K."""
    hidden_size: int = Field(default=600, ge=1, le=8192)
    """Width H of the encoder's hidden layer."""
    temperature: float = Field(default=0.1, ge=0.03)
    """Divides cosines, of items with cores and of users with items; in single precision no less than 0.03 works."""
    std: float = Field(default=0.075, ge=0)
    """Standard deviation of the noise on a user's factors where the encoder asks for neither more nor less."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of a user's items that the encoder does not see."""
    kl_weight: float = Field(default=0.2, ge=0)
    """Weight of the KL term."""


class MacridVae(Recommender[MacridVaeConfig, UserRowBatch]):
    """An auto-encoder of users with a vector for each of K kinds of items; see the module."""

    spec = ModelSpec(
        name="macridvae",
        title="MacridVAE",
        paper="Ma et al., NeurIPS 2019",
        url="https://arxiv.org/abs/1910.14238",
        cells=frozenset({Cell.DISENTANGLED, Cell.OTHER_FUSION}),
        complexity="O(B K I D)",
        features=FeatureUse.REQUIRED,
        batches=BatchKind.USER_ROWS,
        histories=True,
    )
    Config = MacridVaeConfig

    def __init__(self, config: MacridVaeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        self._history = interaction_matrix(inputs)
        size, everything = config.embedding_size, torch.ones(config.n_factors, device=inputs.device)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.projection = ModalityProjection(with_unit_features(inputs), size, generator)
        self.cores: nn.Parameter = embedding(everything, size, generator)
        self.first: nn.Parameter = embedding(inputs.items_seen(), config.hidden_size, generator)
        self.first_bias = nn.Parameter(torch.zeros(config.hidden_size, device=inputs.device))
        self.second = linear(config.hidden_size, 2 * size, generator)

    def loss(self, batch: UserRowBatch) -> dict[str, Tensor]:
        """Likelihood of the users' items, and how far the spread of the factors is from the prior's."""
        items, shares = self._items()
        means, log_variances = self._encode(batch.rows, shares)
        noise = torch.empty_like(means).normal_(generator=self.generator)
        factors = normalize(means + self.config.std * (log_variances / 2).exp() * noise, dim=2)
        # the mean factors have length one, so only their spread is held to the prior
        divergence = (log_variances.exp() - log_variances - 1).sum((1, 2)) / 2
        return {
            "likelihood": self._nll(batch.rows, factors, items, shares),
            "kl": self.config.kl_weight * divergence.mean(),
        }

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
        items, shares = self._items()

        def score(rows: Csr) -> Tensor:
            factors, _ = self._encode(rows, shares)
            total = items.new_zeros(rows.shape[0], self.n_items)
            for factor in range(self.config.n_factors):
                total += self._affinity(factors[:, factor], items) * shares[:, factor]
            return total.log()

        return score

    def factors(self) -> tuple[Tensor, Tensor]:
        """Mean factors of users [U, K, D]; items [I, K, D], an item's vector spread by its shares of the cores."""
        items, shares = self._items()
        everyone = torch.arange(self.n_users, device=self.device)
        users = [
            self._encode(self._history.take(chunk), shares)[0]
            for chunk in torch.split(everyone, _USERS_AT_ONCE)
        ]
        return torch.cat(users), items.unsqueeze(1) * shares.unsqueeze(2)

    def _items(self) -> tuple[Tensor, Tensor]:
        """Item vectors [I, D] of length one and their shares of the cores [I, K]."""
        items = normalize(self.item_embedding + self.projection.summed(), dim=1)
        likeness = items @ normalize(self.cores, dim=1).T
        return items, torch.softmax(likeness / self.config.temperature, dim=1)

    def _encode(self, rows: Csr, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Means [B, K, D] of length one and log-variances [B, K, D] of the users whose items are `rows`."""
        weights = take_rows(shares, rows.indices)
        owners = rows.row_numbers()
        squares = weights.new_zeros(rows.shape[0], weights.shape[1]).index_add(0, owners, weights.square())
        weights = weights * take_rows(inverse_length(squares), owners)
        if self.training:
            weights = dropout(weights, self.config.dropout, self.generator)
        hidden = torch.tanh(weighted_row_sums(rows, weights, self.first) + self.first_bias)
        means, log_variances = self.second(hidden).chunk(2, dim=2)
        units: Tensor = normalize(means, dim=2)
        return units, log_variances

    def parts(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Each factor of users, and the items' share in it."""
        return numbered_parts(*self.factors())

    def _affinity(self, factor: Tensor, items: Tensor) -> Tensor:
        """e^(cosine / temperature) [B, I] of one factor [B, D] with all items."""
        likeness: Tensor = (factor / self.config.temperature) @ items.T
        return likeness.exp()

    def _nll(self, rows: Csr, factors: Tensor, items: Tensor, shares: Tensor) -> Tensor:
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
