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

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mrs_pipeline.models.base import UserRowBatch
from mrs_pipeline.models.config import SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.macrid import MacridConfig, MacridRecommender
from mrs_pipeline.models.layers.parameters import embedding
from mrs_pipeline.models.layers.projection import ModalityProjection, with_unit_features
from mrs_pipeline.models.spec import BatchKind, FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell


class MacridVaeConfig(MacridConfig):
    """Settings of MacridVAE."""

    search_space: ClassVar[SearchSpace] = {
        "n_factors": (2, 4, 7, 10),
        "std": (0.01, 0.075, 0.15),
        "kl_weight": (0.01, 0.05, 0.2),
        "dropout": (0.2, 0.5, 0.8),
    }

    std: float = Field(default=0.075, ge=0)
    """Standard deviation of the noise on a user's factors where the encoder asks for neither more nor less."""


class MacridVae(MacridRecommender[MacridVaeConfig]):
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

    def draw_items(self, inputs: ModelInputs) -> None:
        """Free vectors beside projected content; free cores."""
        size, generator = self.config.embedding_size, self.generator
        everything = torch.ones(self.config.n_factors, device=inputs.device)
        self.item_embedding: nn.Parameter = embedding(inputs.items_seen(), size, generator)
        self.projection = ModalityProjection(with_unit_features(inputs), size, generator)
        self.cores = embedding(everything, size, generator)

    def item_vectors(self) -> Tensor:
        """Free vectors and content, added."""
        return self.item_embedding + self.projection.summed()

    def loss(self, batch: UserRowBatch) -> dict[str, Tensor]:
        """Likelihood of the users' items, and how far the spread of the factors is from the prior's."""
        items, shares = self.placed_items()
        means, log_variances = self.encode(batch.rows, shares)
        noise = torch.empty_like(means).normal_(generator=self.generator)
        spread = self.config.std * (log_variances / 2).exp() * noise
        factors = normalize(normalize(means, dim=2) + spread, dim=2)
        # the mean factors have length one, so only their spread is held to the prior
        divergence = (log_variances.exp() - log_variances - 1).sum((1, 2)) / 2
        return {
            "likelihood": self.nll(batch.rows, factors, items, shares),
            "kl": self.config.kl_weight * divergence.mean(),
        }
