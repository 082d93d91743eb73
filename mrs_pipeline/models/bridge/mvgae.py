"""MVGAE. Yi & Chen, "Multi-Modal Variational Graph Auto-Encoder for Recommendation Systems", TMM 2021.

https://doi.org/10.1109/TMM.2021.3111487

Equation: a channel c for each modality, x = unit([P^c; W_c x^c + b_c]), and one for identifiers, x = unit([P; Q]), with
users' and items' vectors P, Q. conv_k(x) = unit(mean over neighbours and the node itself of x W_k + b_k), l_k(x) = x
V_k + v_k; h = LeakyReLU(l_1(LeakyReLU(conv_1(x)))); mu_c = l_2(LeakyReLU(conv_2(h))) + LeakyReLU(l_3(h)), log var_c
the same with weights of its own. Product of experts: 1 / var = sum_c 1 / var_c, mu = var sum_c mu_c / var_c.
z = mu + .1 noise sqrt(var) in training, mu else; y_ui = <z_u, z_i>. Loss = for z and each z_c: BPR + kl_weight * KL
with KL = mean over nodes of half the sum of (mu^2 + var - 1 - log var), divided by the number of these terms.

Deviations, which mend the published code's port: its loss reads user rows in the place of items and trains tables P,
Q that no optimiser knows; it takes the hardest of all negatives of the batch through two sigmoids, which bounds a
margin by one, here each user's own negative and one softplus; its terms are summed, here averaged; it scores with the
last batch's draw. An item that lacks a modality lacks that expert, and its pairs teach that channel nothing;
identifiers of items never seen in training are no expert: cold items are ranked by their content alone. log var is at
most 10 as published, and at least -10.

Complexity: O(M (E D + N D^2) + I F D) a step; memory O(M N D).
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from mrs_pipeline.functional.distinct import marked
from mrs_pipeline.functional.dropout import dropout
from mrs_pipeline.functional.kernels.rows import take_rows, unit_rows
from mrs_pipeline.functional.kernels.sparse_products import SparseOperator
from mrs_pipeline.functional.losses import bpr
from mrs_pipeline.models.base import PairBatch
from mrs_pipeline.models.config import GradientConfig, SearchSpace
from mrs_pipeline.models.inputs import ModelInputs
from mrs_pipeline.models.layers.batch_rows import pair_rows
from mrs_pipeline.models.layers.identifiers import IdentifierRecommender
from mrs_pipeline.models.layers.lightgcn import random_walk_operator
from mrs_pipeline.models.layers.parameters import embedding, linear
from mrs_pipeline.models.spec import FeatureUse, ModelSpec
from mrs_pipeline.taxonomy import Cell

_DRAWN_SHARE = 0.1
"""Share of the deviation that a draw has, as published."""
_WIDEST = 10.0
"""Bound of log var on both sides."""

Gaussian = tuple[Tensor, Tensor]
"""Mean [n, D] and logarithm of the variance [n, D]."""


class MvgaeConfig(GradientConfig):
    """Settings of MVGAE."""

    search_space: ClassVar[SearchSpace] = {
        "learning_rate": (1e-4, 1e-3, 1e-2),
        "kl_weight": (1e-4, 1e-3, 1e-2, 1e-1),
    }

    kl_weight: float = Field(default=1e-3, ge=0)
    """Weight of the divergence from the standard normal distribution."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the convolutions' entries dropped in training."""


class Mvgae(IdentifierRecommender[MvgaeConfig]):
    """Variational graph auto-encoders, one a channel, joined as a product of experts; see the module."""

    spec = ModelSpec(
        name="mvgae",
        title="MVGAE",
        paper="Yi & Chen, TMM 2021",
        url="https://doi.org/10.1109/TMM.2021.3111487",
        cells=frozenset({Cell.USER_ITEM_GRAPH}),
        complexity="O(M (E D + N D^2) + I F D)",
        features=FeatureUse.REQUIRED,
    )
    Config = MvgaeConfig

    def __init__(self, config: MvgaeConfig, inputs: ModelInputs, generator: torch.Generator) -> None:
        super().__init__(config, inputs, generator)
        size = config.embedding_size
        self._features = inputs.features
        self._mean = random_walk_operator(inputs)
        users = torch.ones(inputs.n_users, dtype=torch.bool, device=inputs.device)
        items = [*inputs.present.values(), inputs.items_seen()]
        self._known = [torch.cat([users, mask]) for mask in items]
        self.content, self.preferences = nn.ModuleDict(), nn.ParameterDict()
        for modality, values in inputs.features.items():
            self.content[modality] = linear(values.shape[1], size, generator)
            self.preferences[modality] = embedding(inputs.users_seen(), size, generator)
        self.encoders = nn.ModuleList(_GraphEncoder(size, generator) for _ in self._known)

    def loss(self, batch: PairBatch) -> dict[str, Tensor]:
        """BPR and divergence, of the product and of each expert."""
        experts = self._experts()
        every = torch.ones_like(self._known[0])
        terms = [self._term(product_of_experts(experts, self._known), every, batch)]
        terms += [
            self._term(expert, known, batch) for expert, known in zip(experts, self._known, strict=True)
        ]
        ranking, divergence = (torch.stack(side).mean() for side in zip(*terms, strict=True))
        return {"bpr": ranking, "kl": self.config.kl_weight * divergence}

    def representations(self) -> tuple[Tensor, Tensor]:
        """Means of the product."""
        mean, _ = product_of_experts(self._experts(), self._known)
        users, items = mean.split_with_sizes([self.n_users, self.n_items])
        return users, items

    def _experts(self) -> list[Gaussian]:
        """One a modality, then that of the identifiers; each of all nodes."""
        starts = [
            torch.cat([self.preferences[name], layer(self._features[name])])
            for name, layer in self.content.items()
        ]
        starts.append(torch.cat([self.user_embedding, self.item_embedding]))
        rate = self.config.dropout if self.training else 0.0
        return [
            encoder(unit_rows(start), self._mean, rate, self.generator)
            for encoder, start in zip(self.encoders, starts, strict=True)
        ]

    def _term(self, gaussian: Gaussian, known: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """BPR of a draw over the pairs whose items are `known` [N] bool, divergence over the known nodes."""
        mean, log_variance = gaussian
        drawn = mean
        if self.training:
            noise = torch.randn(mean.shape, generator=self.generator, device=mean.device, dtype=mean.dtype)
            drawn = mean + _DRAWN_SHARE * noise * (log_variance / 2).exp()
        of_items = known[self.n_users :]
        usable = marked(take_rows(of_items, batch.positives) & take_rows(of_items, batch.negatives))
        ranking = mean.new_zeros(())
        if not usable.none:
            users, items = drawn.split_with_sizes([self.n_users, self.n_items])
            rows = pair_rows(users, items, batch)
            user, positive, negative = (usable.take(each) for each in rows)
            ranking = bpr((user * (positive - negative)).sum(1), usable.weights)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return ranking, (divergence * known).sum() / known.sum().clamp(min=1)


class _GraphEncoder(nn.Module):
    """Mean and variance of every node from one channel."""

    def __init__(self, size: int, generator: torch.Generator) -> None:
        super().__init__()
        names = ("conv_1", "l_1", "conv_mean", "l_mean", "skip_mean", "conv_var", "l_var", "skip_var")
        self.maps = nn.ModuleDict({name: linear(size, size, generator) for name in names})

    def forward(self, x: Tensor, mean: SparseOperator, rate: float, generator: torch.Generator) -> Gaussian:
        """From x [N, D] with a `mean` over neighbours; `rate` of the convolutions' entries are dropped."""

        def conv(name: str, rows: Tensor) -> Tensor:
            return dropout(leaky_relu(unit_rows(mean @ self.maps[name](rows))), rate, generator)

        h = leaky_relu(self.maps["l_1"](conv("conv_1", x)))
        found = [
            self.maps[f"l_{part}"](conv(f"conv_{part}", h)) + leaky_relu(self.maps[f"skip_{part}"](h))
            for part in ("mean", "var")
        ]
        return found[0], found[1].clamp(-_WIDEST, _WIDEST)


def product_of_experts(experts: list[Gaussian], known: list[Tensor]) -> Gaussian:
    """The product of Gaussians, of which those count for a node that are `known` [N] there; N(0, 1) where none is.

    Two equal experts agree on the mean and halve the variance:

    >>> one = torch.tensor([[3.0]]), torch.tensor([[0.0]])
    >>> mean, log_variance = product_of_experts([one, one], [torch.tensor([True])] * 2)
    >>> mean, log_variance.exp()
    (tensor([[3.]]), tensor([[0.5000]]))
    """
    precisions = [
        (-log_variance).exp() * mask.unsqueeze(1)
        for (_, log_variance), mask in zip(experts, known, strict=True)
    ]
    total = torch.stack(precisions).sum(0)
    total = torch.where(total > 0, total, 1.0)
    weighted = [mean * precision for (mean, _), precision in zip(experts, precisions, strict=True)]
    return torch.stack(weighted).sum(0) / total, -total.log()
